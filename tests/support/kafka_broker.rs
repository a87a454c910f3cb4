//! Apache Kafka itself, as one child process on loopback, without Docker.
//!
//! The jars come from Maven Central by `kafka/pom.xml`, once, into the build directory. A broker is
//! KRaft in one process (broker and controller) with a data directory of its own. Whatever happens
//! to the test process, its brokers end: a small shell holds the other end of a pipe, and when that
//! closes it kills the broker and removes its data. Nothing here ends a process that it did not
//! start.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tempfile::TempDir;
use tidemark::io::clock::monotonic;
use xxhash_rust::xxh3::xxh3_64;

/// Longer than a broker needs to start on a busy machine.
const START_TIMEOUT: Duration = Duration::from_secs(90);
/// Longer than an orderly stop takes; then the broker is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
const POM: &str = include_str!("kafka/pom.xml");
const CLUSTER_ID: &str = "dGlkZW1hcmstdGVzdC0wMQ";

/// What a test may want different from the defaults.
#[derive(Clone, Debug)]
pub struct BrokerOptions {
    /// Heap of the JVM, as `-Xmx` takes it.
    pub heap: String,
    /// Lines for `server.properties`, after ours: the last one wins.
    pub properties: Vec<(String, String)>,
}

impl Default for BrokerOptions {
    fn default() -> Self {
        Self { heap: "512m".into(), properties: Vec::new() }
    }
}

/// A broker that runs, or can run again, on one port and one data directory.
pub struct KafkaBroker {
    options: BrokerOptions,
    home: TempDir,
    port: u16,
    controller_port: u16,
    running: Option<Running>,
}

struct Running {
    java: Child,
    /// Kills `java` and removes its data when its standard input closes without the word `done`.
    guard: Child,
}

impl KafkaBroker {
    /// Starts a broker on free ports and waits until it answers.
    pub fn start(options: BrokerOptions) -> Self {
        let home = tempfile::Builder::new().prefix("kafka-").tempdir().expect("a scratch dir");
        let data = home.path().join("data");
        fs::create_dir(&data).expect("an empty scratch dir");
        for entry in fs::read_dir(formatted()).expect("the formatted directory") {
            let entry = entry.expect("an entry of the formatted directory");
            fs::copy(entry.path(), data.join(entry.file_name())).expect("a copy of a small file");
        }
        // The ports are free now and taken a moment later; somebody else may be quicker.
        let (port, controller_port) = free_ports();
        let mut broker = Self { options, home, port, controller_port, running: None };
        if let Err(first) = broker.try_start() {
            (broker.port, broker.controller_port) = free_ports();
            if let Err(second) = broker.try_start() {
                panic!("kafka does not start:\n{first}\n--- and on other ports:\n{second}");
            }
        }
        broker
    }

    /// Address for clients.
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Starts a stopped broker again, on the same port and data, and waits until it answers.
    pub fn restart(&mut self) {
        assert!(self.running.is_none(), "the broker is running");
        // Once more: on a machine that is very busy it may have been given up too early.
        if let Err(first) = self.try_start()
            && let Err(second) = self.try_start()
        {
            panic!("kafka does not start again: {first}\n--- and then: {second}");
        }
    }

    /// An orderly stop, as SIGTERM asks for.
    pub fn stop(&mut self) {
        let Some(mut running) = self.running.take() else { return };
        running.signal("TERM");
        let deadline = monotonic() + STOP_TIMEOUT;
        while monotonic() < deadline {
            if matches!(running.java.try_wait(), Ok(Some(_))) {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        running.end();
    }

    /// As a power cut does.
    pub fn kill9(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.end();
        }
    }

    /// Stops it in its tracks: connections stay open, nothing answers. See [`Self::thaw`].
    pub fn freeze(&self) {
        self.running.as_ref().expect("a running broker").signal("STOP");
    }

    pub fn thaw(&self) {
        self.running.as_ref().expect("a running broker").signal("CONT");
    }

    /// Replaces bytes in the log of a stopped broker. Brokers and consumers do not look at the
    /// checksum of a record unless they are told to.
    pub fn edit_log(&self, topic: &str, partition: i32, from: &[u8], to: &[u8]) {
        assert!(self.running.is_none() && from.len() == to.len());
        let folder = self.home.path().join(format!("data/{topic}-{partition}"));
        let file = folder.join("00000000000000000000.log");
        let mut bytes = fs::read(&file).expect("the log of a partition");
        let found = bytes.windows(from.len()).position(|window| window == from);
        let start = found.expect("the bytes to replace");
        bytes[start..start + to.len()].copy_from_slice(to);
        fs::write(&file, bytes).expect("the log of a partition");
    }

    fn try_start(&mut self) -> Result<(), String> {
        let config = self.home.path().join("server.properties");
        fs::write(&config, self.server_properties()).map_err(|error| error.to_string())?;
        let log = self.home.path().join("broker.log");
        let out = fs::File::create(&log).map_err(|error| error.to_string())?;
        let err = out.try_clone().map_err(|error| error.to_string())?;
        let java = Command::new("java")
            .arg(format!("-Xmx{}", self.options.heap))
            .args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp"])
            .arg(format!("{}/*", jars().display()))
            .arg("kafka.Kafka")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .process_group(0)
            .spawn()
            .map_err(|error| missing("java", &error))?;
        let guard = Command::new("sh")
            .arg("-c")
            .arg("read -r word; [ \"$word\" = done ] || { kill -KILL \"$1\"; rm -rf -- \"$2\"; }")
            .arg("guard")
            .arg(java.id().to_string())
            .arg(self.home.path())
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|error| format!("sh: {error}"))?;
        self.running = Some(Running { java, guard });
        self.wait_until_it_answers(&log).inspect_err(|_| self.kill9())
    }

    fn wait_until_it_answers(&mut self, log: &Path) -> Result<(), String> {
        let deadline = monotonic() + START_TIMEOUT;
        let client: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", self.bootstrap())
            .set("reconnect.backoff.ms", "20")
            .set("reconnect.backoff.max.ms", "100")
            .set("log_level", "0")
            .create()
            .map_err(|error| error.to_string())?;
        let tail = || {
            let text = fs::read_to_string(log).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(40)..].join("\n")
        };
        loop {
            if let Ok(metadata) = client.fetch_metadata(None, Duration::from_millis(500))
                && metadata.brokers().iter().any(|known| known.port() == i32::from(self.port))
            {
                return Ok(());
            }
            let running = self.running.as_mut().expect("it was started above");
            if let Ok(Some(status)) = running.java.try_wait() {
                return Err(format!("java ended with {status}:\n{}", tail()));
            }
            if monotonic() > deadline {
                return Err(format!("no answer within {START_TIMEOUT:?}:\n{}", tail()));
            }
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    fn server_properties(&self) -> String {
        let Self { port, controller_port, .. } = self;
        let data = self.home.path().join("data");
        let mut text = format!(
            "process.roles=broker,controller\n\
             node.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{controller_port}\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
             controller.listener.names=CONTROLLER\n\
             log.dirs={}\n",
            data.display()
        );
        // A broker that was killed may register again only when its last session has timed out.
        text.push_str(
            "auto.create.topics.enable=false\n\
             broker.session.timeout.ms=2000\n\
             broker.heartbeat.interval.ms=200\n\
             group.initial.rebalance.delay.ms=0\n\
             group.min.session.timeout.ms=500\n\
             offsets.topic.num.partitions=1\n\
             offsets.topic.replication.factor=1\n\
             transaction.state.log.num.partitions=1\n\
             transaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\n\
             log.cleaner.dedupe.buffer.size=8388608\n\
             log.message.timestamp.after.max.ms=9223372036854775807\n\
             num.network.threads=2\n\
             num.io.threads=2\n\
             background.threads=2\n",
        );
        for (key, value) in &self.options.properties {
            text.push_str(&format!("{key}={value}\n"));
        }
        text
    }
}

impl Drop for KafkaBroker {
    fn drop(&mut self) {
        self.kill9();
    }
}

impl Running {
    fn signal(&self, name: &str) {
        let pid = self.java.id();
        let status = Command::new("sh").arg("-c").arg(format!("kill -{name} {pid}")).status();
        assert!(matches!(status, Ok(status) if status.success()), "kill -{name} {pid}");
    }

    /// Kills what still runs and takes both exit codes, so that no process is left behind.
    fn end(&mut self) {
        let _ = self.java.kill();
        let _ = self.java.wait();
        if let Some(mut input) = self.guard.stdin.take() {
            // The process id may soon be somebody else's: the guard must not kill it.
            let _ = input.write_all(b"done\n");
        }
        let _ = self.guard.wait();
    }
}

/// The broker that tests share: they use topics of their own and never stop it.
pub fn shared() -> &'static KafkaBroker {
    static SHARED: OnceLock<KafkaBroker> = OnceLock::new();
    SHARED.get_or_init(|| KafkaBroker::start(BrokerOptions::default()))
}

fn free_ports() -> (u16, u16) {
    let free = || TcpListener::bind("127.0.0.1:0").expect("a free port on loopback");
    let (one, other) = (free(), free());
    let port = |listener: &TcpListener| listener.local_addr().expect("a bound port").port();
    (port(&one), port(&other))
}

fn missing(program: &str, error: &std::io::Error) -> String {
    format!(
        "cannot run `{program}`: {error}. These tests run Apache Kafka itself: install Java 17 or \
         newer and Maven (Debian: apt-get install default-jre-headless maven)"
    )
}

/// Where jars are kept from one run to the next. Another pom means another directory.
fn cache() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("tmp is in the target dir");
    target.join(format!("kafka-broker-{:016x}", xxh3_64(POM.as_bytes())))
}

/// Makes `path` by `fill`, which gets a scratch directory, unless it is there already. Another
/// process may do the same at the same time: the first one's stays.
fn make_once(path: &Path, fill: impl FnOnce(&Path)) {
    if path.exists() {
        return;
    }
    let parent = path.parent().expect("a path below the cache");
    fs::create_dir_all(parent).expect("the target directory is ours");
    let scratch = tempfile::Builder::new().prefix("making-").tempdir_in(parent).expect("scratch");
    fill(scratch.path());
    if let Err(error) = fs::rename(scratch.path(), path) {
        assert!(path.exists(), "{}: {error}", path.display());
    }
}

/// The directory with Kafka's jars, downloaded at the first call ever.
pub fn jars() -> PathBuf {
    static ONCE: Mutex<()> = Mutex::new(());
    let _alone = ONCE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let path = cache().join("jars");
    make_once(&path, |scratch| {
        let pom = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/kafka/pom.xml");
        let output = Command::new("mvn")
            .args(["-q", "-B", "-f"])
            .arg(pom)
            .arg("org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies")
            .arg("-DincludeScope=runtime")
            .arg(format!("-DoutputDirectory={}", scratch.display()))
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("{}", missing("mvn", &error)));
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "mvn could not fetch Kafka's jars:\n{text}");
    });
    path
}

/// A data directory as `StorageTool format` leaves it; every broker starts from a copy.
fn formatted() -> PathBuf {
    let jars = jars();
    static ONCE: Mutex<()> = Mutex::new(());
    let _alone = ONCE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let path = cache().join("formatted");
    make_once(&path, |scratch| {
        let config = scratch.join("format.properties");
        let text = "process.roles=broker,controller\nnode.id=1\n\
                    controller.quorum.voters=1@127.0.0.1:9093\n\
                    listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093\n\
                    controller.listener.names=CONTROLLER\n";
        let data = scratch.join("data");
        fs::write(&config, format!("{text}log.dirs={}\n", data.display())).expect("scratch file");
        let output = Command::new("java")
            .args(["-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp"])
            .arg(format!("{}/*", jars.display()))
            .args(["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"])
            .arg(&config)
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("{}", missing("java", &error)));
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kafka.tools.StorageTool format:\n{text}");
        fs::remove_file(&config).expect("our own file");
        for entry in fs::read_dir(&data).expect("the formatted directory") {
            let entry = entry.expect("an entry of it");
            fs::rename(entry.path(), scratch.join(entry.file_name())).expect("a move in one dir");
        }
        fs::remove_dir(&data).expect("an empty directory");
    });
    path
}
