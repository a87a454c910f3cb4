//! A webhook's own way to its receiver: certificates and proxies.

use super::delivery::{attempt_at, error_of, target};
use crate::support::certs::{Authority, Signed};
use axum::Router;
use axum::routing::post;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tidemark::engine::outbox::Outcome;
use tidemark::io::http::{Limits, Rules, Security, bind, serve_secured};
use tidemark::io::telemetry::Telemetry;
use tidemark::io::webhook::{Deliverer, TargetTls};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;

fn identity(Signed { cert, key }: &Signed) -> String {
    format!("{cert}\n{key}\n")
}

/// A receiver that wants a certificate signed by the authority, and has one.
async fn receiver(authority: &Authority) -> (SocketAddr, watch::Sender<bool>) {
    let files = tempfile::tempdir().unwrap();
    let Signed { cert, key } = authority.sign();
    for (name, text) in [("cert", &cert), ("key", &key), ("ca", &authority.pem())] {
        std::fs::write(files.path().join(name), text).unwrap();
    }
    let web = files.path().join("web.yaml");
    let text = "tls_server_config: { cert_file: cert, key_file: key, client_ca_file: ca, \
                client_auth_type: RequireAndVerifyClientCert }";
    std::fs::write(&web, text).unwrap();
    let security = Arc::new(Security::new(Rules::load(Some(&web), None).unwrap()));
    let listener = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/retrain", post(async || "thanks"));
    let (stop, stopped) = watch::channel(false);
    // The files are looked at only after a second, and then that they are gone changes nothing.
    tokio::spawn(serve_secured(listener, router, Limits::default(), stopped, security));
    (address, stop)
}

#[tokio::test]
async fn a_webhook_trusts_its_own_authority_and_shows_its_own_certificate() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (address, _stop) = receiver(&authority).await;
    let with = |ca: &Authority, ours: Option<&Authority>| {
        let mut target = target(format!("https://{address}/retrain"));
        let identity = ours.map(|authority| identity(&authority.sign()));
        target.tls = TargetTls { ca: Some(ca.pem()), identity };
        target
    };
    let known = attempt_at(with(&authority, Some(&authority))).await;
    assert_eq!(known, Outcome::Delivered { status: 200 });
    for refused in
        [with(&other, Some(&authority)), with(&authority, None), with(&authority, Some(&other))]
    {
        error_of(attempt_at(refused).await);
    }
}

#[test]
fn certificates_that_are_none_are_refused_with_the_webhooks_name() {
    let authority = Authority::new();
    let error = |tls: TargetTls| {
        let mut target = target("https://127.0.0.1/".into());
        target.tls = tls;
        Deliverer::new(vec![target], &Telemetry::new()).unwrap_err().to_string()
    };
    let said = error(TargetTls { ca: Some("none".into()), identity: None });
    assert_eq!(said, "webhook `trainer`: `tls.ca_file` has no certificate in PEM form");
    let mixed = Signed { cert: authority.sign().cert, key: authority.sign().key };
    for pem in ["s3cr3t".to_owned(), authority.sign().cert, identity(&mixed)] {
        let said = error(TargetTls { ca: Some(authority.pem()), identity: Some(pem) });
        assert!(said.contains("`trainer`: `tls.cert_file` and `tls.key_file` are not"), "{said}");
        assert!(!said.contains("s3cr3t"));
    }
}

#[tokio::test]
async fn requests_go_through_the_proxy_with_its_password_and_an_error_does_not_show_it() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let proxy = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            let mut part = [0; 1_024];
            let count = stream.read(&mut part).await.unwrap();
            head.extend_from_slice(&part[..count]);
        }
        let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        String::from_utf8_lossy(&head).into_owned()
    });
    let mut target = target("http://trainer.invalid/retrain".into());
    target.proxy = Some(format!("http://ali:s3cr3tpass@127.0.0.1:{port}"));
    assert_eq!(attempt_at(target.clone()).await, Outcome::Delivered { status: 204 });
    let head = proxy.await.unwrap();
    assert!(head.starts_with("POST http://trainer.invalid/retrain HTTP/1.1\r\n"), "{head}");
    // ali:s3cr3tpass
    assert!(head.contains("proxy-authorization: Basic YWxpOnMzY3IzdHBhc3M="), "{head}");
    let error = error_of(attempt_at(target).await);
    assert!(error.starts_with("cannot connect") && !error.contains("s3cr3t"), "{error}");
}
