//! The page at `/`: its files are in the program, so that it needs no network and no installation.
//!
//! The files stand in `src/page`, are written by hand and are served as they are. They speak to the
//! daemon only by `/api/v1`. The content security policy allows what comes from here and nothing
//! inline, so that a name from a stream cannot run as a script even if the page had a fault.

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use xxhash_rust::xxh3::xxh3_64;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
const TEXT: &str = "text/plain; charset=utf-8";

struct File {
    path: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

macro_rules! files {
    ($($kind:ident $name:literal)*) => {
        &[$(File {
            path: concat!("/page/", $name),
            kind: $kind,
            bytes: include_bytes!(concat!("../../page/", $name)),
        }),*]
    };
}

const INDEX: File = File { path: "/", kind: HTML, bytes: include_bytes!("../../page/index.html") };

const FILES: &[File] = files! {
    CSS "parts.css"
    CSS "style.css"
    CSS "vendor/uplot.css"
    JS "api.js"
    JS "app.js"
    JS "chart.js"
    JS "dom.js"
    JS "format.js"
    JS "heat.js"
    JS "parts.js"
    JS "router.js"
    JS "theme.js"
    JS "vendor/uplot.js"
    JS "views/drift.js"
    JS "views/feature.js"
    JS "views/frame.js"
    JS "views/labels.js"
    JS "views/model.js"
    JS "views/overview.js"
    JS "views/pipeline.js"
    JS "views/policies.js"
    JS "views/requests.js"
    JS "views/slices.js"
    SVG "icon.svg"
    TEXT "vendor/uplot.LICENSE"
};

/// `/` and the files under `/page/`: merge it into `more` of [`super::router`].
pub fn page() -> Router {
    let files = std::iter::once(&INDEX).chain(FILES);
    files.fold(Router::new(), |router, file| {
        let tag = format!("\"{:016x}\"", xxh3_64(file.bytes));
        let tag = HeaderValue::from_str(&tag).expect("hexadecimal digits in quotes are a header");
        router.route(file.path, get(async move |headers: HeaderMap| serve(file, &tag, &headers)))
    })
}

/// 304 to who has it already; else the file, to be asked for again each time, since a new daemon
/// may bring a new one.
fn serve(file: &'static File, tag: &HeaderValue, headers: &HeaderMap) -> Response {
    let known = headers.get_all(header::IF_NONE_MATCH).iter().any(|value| {
        let list = value.to_str().unwrap_or_default();
        list.split(',').any(|one| one.trim().trim_start_matches("W/") == tag)
    });
    let common = [
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::ETAG, tag.clone()),
    ];
    if known {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static(file.kind))];
    (kind, common, file.bytes).into_response()
}

#[cfg(test)]
mod tests {
    use super::{FILES, INDEX};
    use std::path::Path;

    #[test]
    fn every_file_of_the_page_is_in_the_program() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/page");
        let mut directories = vec![root.clone()];
        let mut found = Vec::new();
        while let Some(directory) = directories.pop() {
            for entry in directory.read_dir().expect("a directory of the page") {
                let path = entry.expect("a readable directory").path();
                if path.is_dir() {
                    directories.push(path);
                } else {
                    let name = path.strip_prefix(&root).expect("below the root").display();
                    found.push(format!("/page/{name}"));
                }
            }
        }
        found.retain(|path| path != "/page/index.html");
        found.sort();
        let mut served: Vec<&str> = FILES.iter().map(|file| file.path).collect();
        served.sort_unstable();
        assert_eq!(found, served);
    }

    #[test]
    fn the_page_names_no_other_host_and_holds_nothing_inline() {
        for file in FILES.iter().chain([&INDEX]) {
            let text = std::str::from_utf8(file.bytes).expect("the page is text");
            let ours = !file.path.contains("/vendor/");
            let mut hosts: Vec<&str> = text.split("://").skip(1).collect();
            // The names of SVG's and nobody else's namespaces look like addresses.
            hosts.retain(|rest| !rest.starts_with("www.w3.org/"));
            assert!(!ours || hosts.is_empty(), "{}: {hosts:?}", file.path);
            for word in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("]
            {
                assert!(!ours || !text.contains(word), "{}: {word}", file.path);
            }
            for word in ["<style", "style=\"", " onclick=\"", "<script>"] {
                assert!(file.kind != super::HTML || !text.contains(word), "{word}");
            }
        }
    }
}
