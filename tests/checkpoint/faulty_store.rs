//! An object store that fails once, where and how it is told.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

type Act = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What happens at the next request of its kind.
pub enum Fault {
    /// It is carried out, and an error is returned.
    AfterDoing,
    /// It is not carried out, and an error is returned.
    InsteadOfDoing,
    /// It never returns.
    Hangs,
    /// Somebody else is quicker with something.
    Before(Box<dyn FnOnce() -> Act + Send>),
}

#[derive(Default)]
struct Planned {
    put: Option<Fault>,
    get: Option<Fault>,
    list: Option<Fault>,
    delete: Option<Fault>,
}

pub struct FaultyStore<T> {
    inner: Arc<T>,
    planned: Mutex<Planned>,
}

impl<T> FaultyStore<T> {
    pub fn new(inner: T) -> Self {
        Self { inner: Arc::new(inner), planned: Mutex::default() }
    }

    fn planned(&self) -> std::sync::MutexGuard<'_, Planned> {
        self.planned.lock().expect("no panic while it is held")
    }

    pub fn next_put(&self, fault: Fault) {
        self.planned().put = Some(fault);
    }

    pub fn next_get(&self, fault: Fault) {
        self.planned().get = Some(fault);
    }

    pub fn next_list(&self, fault: Fault) {
        self.planned().list = Some(fault);
    }

    pub fn next_delete(&self, fault: Fault) {
        self.planned().delete = Some(fault);
    }
}

fn broken() -> object_store::Error {
    object_store::Error::Generic { store: "faulty", source: "the cable was pulled".into() }
}

/// `Ok(true)`: fail after doing it.
async fn meet(fault: Option<Fault>) -> Result<bool> {
    match fault {
        None => Ok(false),
        Some(Fault::AfterDoing) => Ok(true),
        Some(Fault::InsteadOfDoing) => Err(broken()),
        Some(Fault::Hangs) => std::future::pending().await,
        Some(Fault::Before(act)) => {
            act().await;
            Ok(false)
        }
    }
}

impl<T> fmt::Debug for FaultyStore<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyStore")
    }
}

impl<T> fmt::Display for FaultyStore<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyStore")
    }
}

#[async_trait::async_trait]
impl<T: ObjectStore> ObjectStore for FaultyStore<T> {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let fault = self.planned().put.take();
        let fail = meet(fault).await?;
        let done = self.inner.put_opts(location, payload, options).await?;
        if fail { Err(broken()) } else { Ok(done) }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let fault = self.planned().get.take();
        meet(fault).await?;
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        match self.planned().delete.take() {
            Some(_) => futures_util::stream::once(async { Err(broken()) }).boxed(),
            None => self.inner.delete_stream(locations),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.planned().list.take() {
            None => self.inner.list(prefix),
            // The listing must see what the act does, so it starts after it.
            Some(Fault::Before(act)) => {
                let (inner, prefix) = (Arc::clone(&self.inner), prefix.cloned());
                act().map(move |()| inner.list(prefix.as_ref())).flatten_stream().boxed()
            }
            Some(_) => futures_util::stream::once(async { Err(broken()) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
