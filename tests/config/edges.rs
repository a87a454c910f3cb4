//! What connects the daemon with others: HTTP's listeners, webhooks, Alertmanager.

use super::{file, load_text, plan, refused, small};
use crate::support::certs::Authority;
use tidemark::config;
use tidemark::engine::spec::{Action, Condition};

const WEBHOOK: &str = "webhooks: [{ name: trainer, url: 'http://127.0.0.1:1/x' }]\n";

#[test]
fn a_policy_may_wait_for_an_alert() {
    let text = small(&format!(
        "    policies:
      - {{ name: on-alert, alertmanager: AccuracyTooLow, action: {{ retrain: trainer }} }}
{WEBHOOK}"
    ));
    let plan = plan(&text);
    let policy = &plan.models[0].policies[0];
    let Condition::Alert { alert } = &policy.condition else { panic!("{policy:?}") };
    assert_eq!(&**alert, "AccuracyTooLow");
    let Action::Retrain { webhook, cooldown, .. } = &policy.action else { panic!("{policy:?}") };
    assert_eq!((&**webhook, cooldown.to_string().as_str()), ("trainer", "6h"));
    let said = config::check(&plan);
    let line = "on-alert: alert `AccuracyTooLow` of Alertmanager: retrain by trainer, cooldown 6h";
    assert!(said.contains(line), "{said}");
    // It judges no window, so it changes no state.
    assert_eq!(plan.layouts, self::plan(&small("")).layouts);
}

#[test]
fn http_may_have_passwords_a_token_and_a_listener_for_metrics() {
    let directory = tempfile::tempdir().unwrap();
    let web = directory.path().join("web.yaml");
    let hash = bcrypt::hash("hunter2", 4).unwrap();
    std::fs::write(&web, format!("basic_auth_users: {{ ali: {hash} }}")).unwrap();
    let http = format!(
        "http:\n  listen: 0.0.0.0:9464\n  metrics_listen: 0.0.0.0:9465\n  web_config: {}\n  \
         alertmanager: {{ token_file: secrets/password }}\n",
        web.display()
    );
    let text = small("") + &http;
    let plan = plan(&text);
    assert_eq!(plan.http.metrics_listen.unwrap().to_string(), "0.0.0.0:9465");
    assert_eq!(plan.http.web_config.as_ref(), Some(&web));
    let token = plan.http.alertmanager_token.as_ref().unwrap();
    assert_eq!(token.expose(), "hunter2-from-file");
    let said = config::check(&plan);
    assert!(said.contains("0.0.0.0:9464, TLS and passwords as in web_config"), "{said}");
    assert!(!format!("{plan:?}{said}").contains("hunter2"));
    let open = self::plan(&(small("") + "http: { listen: 0.0.0.0:9464 }\n"));
    assert!(config::check(&open).contains("readable by everyone who can reach it"));

    std::fs::write(&web, "basic_auth_user: {}\ntls_server_config: { cert_file: none }").unwrap();
    let said = refused(&text);
    for part in ["web.yaml:1:1: basic_auth_user: unknown option", "`key_file` is missing"] {
        assert!(said.contains("http.web_config: ") && said.contains(part), "{said}");
    }
    let same = "http: { listen: 127.0.0.1:1, metrics_listen: 127.0.0.1:1 }\n";
    assert!(refused(&(small("") + same)).contains("is the address of `listen`"));
}

#[test]
fn a_webhook_may_have_a_template_a_proxy_and_certificates() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    let authority = Authority::new();
    let ours = authority.sign();
    write("ca.pem", &authority.pem());
    write("ours.pem", &ours.cert);
    write("ours.key", &ours.key);
    write("body.json", r#"{ "run": "{{id}}", "model": "{{/data/model}}" }"#);
    let text = small("")
        + &"webhooks:
  - name: trainer
    url: https://ci.example.com/hooks
    template: @/body.json
    proxy: http://ali:hunter2@proxy.example.com:3128
    tls: { ca_file: @/ca.pem, cert_file: @/ours.pem, key_file: @/ours.key }
"
        .replace('@', &directory.path().display().to_string())
        .replace(&format!("hunter2{}", directory.path().display()), "hunter2@");
    let plan = plan(&text);
    let webhook = &plan.webhooks[0];
    let body = webhook.template.as_ref().unwrap().render("retrain-1", r#"{"data":{"model":"m"}}"#);
    assert_eq!(body, r#"{"run":"retrain-1","model":"m"}"#);
    assert_eq!(webhook.proxy.as_ref().unwrap().to_string(), "http://proxy.example.com:3128/...");
    assert_eq!(webhook.tls.ca.as_deref(), Some(authority.pem().trim_end()));
    let identity = webhook.tls.identity.as_ref().unwrap().expose();
    assert!(identity.contains("BEGIN CERTIFICATE") && identity.contains("BEGIN PRIVATE KEY"));
    let said = config::check(&plan);
    let line = "not signed, body by a template, through http://proxy.example.com:3128/..., \
                certificate by an authority of its own, with our certificate";
    assert!(said.contains(line), "{said}");
    assert!(!format!("{plan:?}{said}").contains("hunter2"));

    write("body.json", r#"{ "model": "{{/data/modle}}" }"#);
    assert!(refused(&text).contains("an event has no such field"));
    write("body.json", "{}");
    write("ours.key", "hunter2");
    let said = refused(&text);
    assert!(said.contains("are not a certificate and a key in PEM form"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    assert!(load_text(&text.replace("ours.key", "none.key")).is_err());
    assert!(file("secrets/password").exists());
}
