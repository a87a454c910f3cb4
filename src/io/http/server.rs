//! Accepts connections within bounds and stops gracefully.
//!
//! `axum::serve` has no bound on connections and no timeout for a client that never sends its
//! request, hence this loop over hyper.

use super::{Limits, Peer, Security};
use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

/// How long to wait after an accept that failed, for example because no file descriptor is left.
const ACCEPT_RETRY: Duration = Duration::from_millis(200);

#[derive(Debug, Error)]
pub enum HttpError {
    #[error("cannot listen on {address} (`http.listen`): {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
}

/// Opens the socket, so that a wrong address is told before anything else starts.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, HttpError> {
    TcpListener::bind(address).await.map_err(|source| HttpError::Listen { address, source })
}

/// Serves plain HTTP until `stop` is true (or its sender is gone), then lets requests in progress
/// finish.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    stop: watch::Receiver<bool>,
) {
    serve_secured(listener, router, limits, stop, Arc::default()).await;
}

/// Like [`serve`], with TLS if the rules say so.
pub async fn serve_secured(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
    security: Arc<Security>,
) {
    let permits = Arc::new(Semaphore::new(limits.connections_max));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            () = stopped(&mut stop) => break,
            accepted = accept(&listener, &permits) => accepted,
        };
        let (stream, remote, permit) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        let (router, stop, tls) = (router.clone(), stop.clone(), security.tls());
        connections.spawn(async move {
            meet(stream, remote, tls, router, limits, stop).await;
            drop(permit);
        });
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.stop_timeout, all).await.is_err() {
        warn!("connections were cut off because they did not end in time");
    }
    connections.shutdown().await;
}

/// A permit first: beyond the maximum, connections wait in the system's queue.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let permit = permits.clone().acquire_owned().await.expect("the semaphore is never closed");
    let (stream, remote) = listener.accept().await?;
    Ok((stream, remote, permit))
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it whoever wanted us to run.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Finds out who is there, and agrees on TLS.
async fn meet(
    stream: TcpStream,
    remote: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    router: Router,
    limits: Limits,
    stop: watch::Receiver<bool>,
) {
    let Ok(local) = stream.local_addr() else { return };
    let mut peer = Peer { remote, local, tls: tls.is_some(), certified: false };
    let Some(tls) = tls else {
        return converse(stream, peer, router, limits, stop).await;
    };
    let handshake = TlsAcceptor::from(tls).accept(stream);
    match tokio::time::timeout(limits.head_timeout, handshake).await {
        Ok(Ok(stream)) => {
            // Certificates that are not verified are never asked for.
            peer.certified = stream.get_ref().1.peer_certificates().is_some();
            converse(stream, peer, router, limits, stop).await;
        }
        Ok(Err(error)) => debug!(%error, %remote, "no agreement on TLS"),
        Err(_) => debug!(%remote, "no agreement on TLS in time"),
    }
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: Peer,
    router: Router,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(limits.head_bytes_max.max(8 << 10));
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        router.call(request)
    });
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        () = tokio::time::sleep(limits.connection_age_max) => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(limits.request_timeout, connection).await {
                Ok(result) => result,
                Err(_) => return,
            }
        }
    };
    if let Err(error) = result {
        debug!(%error, "a connection ended early");
    }
}
