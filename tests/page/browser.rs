//! A Chromium without a window, driven over the DevTools protocol.
//!
//! The protocol goes over two pipes (`--remote-debugging-pipe`: the browser reads descriptor 3 and
//! writes 4, messages end with a zero byte), so no port and no WebSocket is needed, and the browser
//! ends when the test does.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tempfile::TempDir;

/// For one command; a slow machine with other tests at work needs long.
const ANSWER: Duration = Duration::from_secs(60);
/// Names under which distributions install it.
const PROGRAMS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

pub struct Browser {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    last_id: u64,
    session: String,
    /// Errors of scripts, of the console, of the network and of the security policy.
    problems: Vec<String>,
    _home: TempDir,
}

/// How the page is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    pub width: u32,
    pub height: u32,
    pub theme: &'static str,
}

impl Browser {
    pub fn start() -> Self {
        let home = TempDir::new().unwrap();
        let runs = |program: &&str| {
            let found = Command::new("sh").args(["-c", "command -v \"$0\"", *program]).output();
            found.is_ok_and(|output| output.status.success())
        };
        let program = PROGRAMS.into_iter().find(|one| runs(one)).unwrap_or_else(|| {
            panic!("the page is tested in Chromium: install it (`apt-get install chromium`)")
        });
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1", program])
            .args(["--headless=new", "--remote-debugging-pipe", "--no-first-run"])
            // It opens nothing but our own page, and containers have no user namespaces.
            .args(["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--disable-background-networking", "--disable-component-update"])
            .arg(format!("--user-data-dir={}", home.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            while output.read_until(0, &mut bytes).is_ok_and(|count| count > 0) {
                bytes.pop();
                let message = serde_json::from_slice(&bytes).unwrap_or_default();
                if sender.send(message).is_err() {
                    break;
                }
                bytes.clear();
            }
        });
        let input = child.stdin.take().unwrap();
        let (session, problems) = (String::new(), Vec::new());
        let mut browser =
            Self { child, input, messages, last_id: 0, session, problems, _home: home };
        let target = browser.send("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.send("Target.attachToTarget", attach);
        browser.session = session["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.send(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Runs a command of the protocol; what happens meanwhile is looked through for problems.
    pub fn send(&mut self, method: &str, parameters: Value) -> Value {
        self.last_id += 1;
        let mut message = json!({ "id": self.last_id, "method": method, "params": parameters });
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        let mut bytes = serde_json::to_vec(&message).unwrap();
        bytes.push(0);
        self.input.write_all(&bytes).unwrap();
        loop {
            let answer = self.messages.recv_timeout(ANSWER);
            let answer = answer.unwrap_or_else(|error| panic!("Chromium, {method}: {error}"));
            if answer["id"] == self.last_id {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].clone();
            }
            self.note(&answer);
        }
    }

    fn note(&mut self, event: &Value) {
        let about = &event["params"];
        let kind = event["method"].as_str().unwrap_or_default();
        let problem = match kind {
            "Runtime.exceptionThrown" => true,
            "Runtime.consoleAPICalled" => about["type"] == "error" || about["type"] == "warning",
            "Log.entryAdded" => about["entry"]["level"] == "error",
            // A request that the page itself gave up is none.
            "Network.loadingFailed" => about["canceled"] != true,
            _ => false,
        };
        if problem {
            self.problems.push(format!("{kind}: {about}"));
        }
    }

    /// What went wrong in the page since the last call.
    pub fn problems(&mut self) -> Vec<String> {
        self.evaluate("0");
        std::mem::take(&mut self.problems)
    }

    pub fn look(&mut self, look: Look) {
        let Look { width, height, theme } = look;
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.send("Emulation.setDeviceMetricsOverride", size);
        let features = json!([
            { "name": "prefers-color-scheme", "value": theme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.send("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    pub fn open(&mut self, url: &str) {
        // By a blank page, so that another `#` of the same page is loaded anew too.
        self.send("Page.navigate", json!({ "url": "about:blank" }));
        self.send("Page.navigate", json!({ "url": url }));
    }

    /// The value of an expression or of what it promises.
    pub fn evaluate(&mut self, script: &str) -> Value {
        let parameters =
            json!({ "expression": script, "awaitPromise": true, "returnByValue": true });
        let answer = self.send("Runtime.evaluate", parameters);
        let fault = &answer["exceptionDetails"];
        assert!(fault.is_null(), "{}: {fault}", &script[..script.len().min(500)]);
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true in the page, for so many seconds at most.
    pub fn wait(&mut self, expression: &str, seconds: u32) {
        let script = format!(
            "new Promise((done) => {{
                const until = Date.now() + {seconds}000;
                const look = () => {{
                    let found = false;
                    try {{ found = ({expression}); }} catch {{ /* It is not there yet. */ }}
                    if (found || Date.now() > until) done(Boolean(found));
                    else setTimeout(look, 50);
                }};
                look();
            }})"
        );
        let deadline = tidemark::io::clock::monotonic() + Duration::from_secs(seconds.into());
        while self.try_evaluate(&script) != Some(Value::Bool(true)) {
            if tidemark::io::clock::monotonic() > deadline {
                let text = self.evaluate("location.hash + '\\n' + document.body.innerText");
                let text = text.as_str().unwrap_or_default().to_owned();
                panic!("not in {seconds} s: {expression}\n{text}\n{:?}", self.problems);
            }
        }
    }

    /// `None` if the page is left meanwhile.
    fn try_evaluate(&mut self, script: &str) -> Option<Value> {
        let parameters =
            json!({ "expression": script, "awaitPromise": true, "returnByValue": true });
        self.last_id += 1;
        let message = json!({
            "id": self.last_id, "method": "Runtime.evaluate", "params": parameters,
            "sessionId": self.session,
        });
        let mut bytes = serde_json::to_vec(&message).unwrap();
        bytes.push(0);
        self.input.write_all(&bytes).unwrap();
        loop {
            let answer = self.messages.recv_timeout(ANSWER).unwrap();
            if answer["id"] == self.last_id {
                return answer["result"]["result"].get("value").cloned();
            }
            self.note(&answer);
        }
    }

    /// Clicks the first visible link, button or summary that has this text in it, as a mouse does.
    pub fn click(&mut self, text: &str) {
        let quoted = json!(text);
        let find = format!(
            "[...document.querySelectorAll('a, button, summary')]
                .find((one) => one.textContent.includes({quoted}) && one.checkVisibility())"
        );
        self.wait(&format!("{find} !== undefined"), 20);
        // A hand comes near first: rows that are pointed at stay where they are.
        let place = self.place(text, &find);
        let event = json!({ "type": "mouseMoved", "x": place["x"], "y": place["y"] });
        self.send("Input.dispatchMouseEvent", event);
        let place = self.place(text, &find);
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({
                "type": kind, "x": place["x"], "y": place["y"], "button": "left", "clickCount": 1,
            });
            self.send("Input.dispatchMouseEvent", event);
        }
    }

    /// The middle of what an expression finds, brought into view, with nothing over it.
    fn place(&mut self, text: &str, find: &str) -> Value {
        let place = self.evaluate(&format!(
            "(() => {{
                const found = {find};
                found.scrollIntoView({{ block: 'center', behavior: 'instant' }});
                const box = found.getClientRects()[0];
                const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
                const hit = document.elementFromPoint(x, y);
                return {{ x, y, free: found.contains(hit), over: hit?.outerHTML.slice(0, 200) }};
            }})()"
        ));
        assert_eq!(place["free"], true, "{text} lies under {}", place["over"]);
        place
    }

    pub fn press(&mut self, key: &str) {
        let code = match key {
            "Tab" => 9,
            "Enter" => 13,
            "ArrowLeft" => 37,
            "ArrowUp" => 38,
            "ArrowRight" => 39,
            "ArrowDown" => 40,
            _ => panic!("{key}?"),
        };
        for kind in ["rawKeyDown", "keyUp"] {
            let event = json!({
                "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code,
            });
            self.send("Input.dispatchKeyEvent", event);
        }
    }

    /// Keeps a picture of the whole page if `PAGE_PICTURES` names a directory.
    pub fn picture(&mut self, name: &str) {
        let Ok(directory) = std::env::var("PAGE_PICTURES") else { return };
        let size = self.evaluate(
            "({ width: innerWidth, height: Math.min(document.body.scrollHeight, 4000) })",
        );
        let clip = json!({
            "x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1,
        });
        let parameters = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let answer = self.send("Page.captureScreenshot", parameters);
        let data = answer["data"].as_str().unwrap();
        let bytes = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, data).unwrap();
        std::fs::write(format!("{directory}/{name}.png"), bytes).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Asked, it ends its own children and leaves nothing in its directory.
        let close = b"{\"id\":0,\"method\":\"Browser.close\"}\0";
        if self.input.write_all(close).is_err() || !self.closed() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

impl Browser {
    /// Whether it closes its end of the pipe in time.
    fn closed(&self) -> bool {
        let deadline = tidemark::io::clock::monotonic() + Duration::from_secs(10);
        loop {
            let left = deadline.saturating_duration_since(tidemark::io::clock::monotonic());
            match self.messages.recv_timeout(left) {
                Ok(_) => {}
                Err(error) => return error == std::sync::mpsc::RecvTimeoutError::Disconnected,
            }
        }
    }
}
