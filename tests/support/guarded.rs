//! A child process that does not outlive the test process, whatever happens to that.

use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tidemark::io::clock::monotonic;

pub struct Guarded {
    child: Child,
    /// Kills `child` when its standard input closes without the word `done`.
    guard: Child,
}

impl Guarded {
    /// Runs a program in a process group of its own.
    pub fn spawn(command: &mut Command) -> Self {
        let program = command.get_program().to_owned();
        let mut child = command
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let guard = Command::new("sh")
            .arg("-c")
            .arg("read -r word; [ \"$word\" = done ] || kill -KILL \"$1\"")
            .arg("guard")
            .arg(child.id().to_string())
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn();
        let guard = guard.unwrap_or_else(|error| {
            let _ = child.kill();
            panic!("sh: {error}")
        });
        Self { child, guard }
    }

    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// `name` without SIG.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id();
        let status = Command::new("sh").arg("-c").arg(format!("kill -{name} {pid}")).status();
        assert!(matches!(status, Ok(status) if status.success()), "kill -{name} {pid}");
    }

    pub fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// The exit status, if it ends in time.
    pub fn wait(&mut self, within: Duration) -> Option<ExitStatus> {
        let deadline = monotonic() + within;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            if monotonic() > deadline {
                return None;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// As a power cut does. True if that is what ended it.
    pub fn kill9(&mut self) -> bool {
        let _ = self.child.kill();
        let status = self.child.wait();
        matches!(status, Ok(status) if status.signal() == Some(9))
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.kill9();
        if let Some(mut input) = self.guard.stdin.take() {
            // The process id may soon be somebody else's: the guard must not kill it.
            let _ = input.write_all(b"done\n");
        }
        let _ = self.guard.wait();
    }
}
