//! Verifies passwords against bcrypt hashes, each only once.
//!
//! bcrypt is slow on purpose, and a scrape comes every few seconds. So what was verified is kept,
//! as a digest of name, password and hash: a changed hash is a different entry. An unknown name
//! takes as long as a known one, and one is verified at a time, so that guessing costs the guesser
//! his time and not the engine its processor.

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use tokio::sync::Semaphore;

/// Answers that are kept, right and wrong ones apart; beyond it they are forgotten and found again.
const KEPT_MAX: usize = 256;
/// Compared with when there is no such name; no password is known that fits it.
const NOBODY: &str = "$2b$10$7EqJtq98hPqEX7fNZaFWoOaG.2QOo0aDAS4iE6YMLfxLPj5kqoVJe";

type Key = [u8; 32];

pub struct Passwords {
    kept: Mutex<[BTreeMap<Key, ()>; 2]>,
    turn: Semaphore,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { kept: Mutex::default(), turn: Semaphore::new(1) }
    }
}

impl Passwords {
    /// Whether the password fits the hash. `None`: there is no such user.
    pub async fn verify(&self, name: &str, password: &str, hash: Option<String>) -> bool {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| NOBODY.to_owned());
        let key = key(&[name, password, &hash]);
        if let Some(right) = self.kept(&key) {
            return right;
        }
        let turn = self.turn.acquire().await.expect("the semaphore is never closed");
        // Others may have asked the same in the meantime.
        if let Some(right) = self.kept(&key) {
            return right;
        }
        let password = password.to_owned();
        let fits =
            tokio::task::spawn_blocking(move || bcrypt::verify(password, &hash).unwrap_or(false));
        let right = fits.await.unwrap_or(false) && known;
        self.keep(key, right);
        drop(turn);
        right
    }

    fn kept(&self, key: &Key) -> Option<bool> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let [wrong, right] = &*kept;
        if right.contains_key(key) {
            return Some(true);
        }
        wrong.contains_key(key).then_some(false)
    }

    fn keep(&self, key: Key, right: bool) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let answers = &mut kept[usize::from(right)];
        if answers.len() >= KEPT_MAX {
            answers.clear();
        }
        answers.insert(key, ());
    }
}

fn key(parts: &[&str]) -> Key {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_verified_once_and_again_after_its_hash_changed() {
        let passwords = Passwords::default();
        let hash = |password: &str| bcrypt::hash(password, 4).unwrap();
        let first = hash("open sesame");
        assert!(passwords.verify("ali", "open sesame", Some(first.clone())).await);
        assert!(!passwords.verify("ali", "open barley", Some(first.clone())).await);
        assert!(!passwords.verify("baba", "open sesame", None).await);
        let kept = |at: usize| passwords.kept.lock().unwrap()[at].len();
        assert_eq!((kept(0), kept(1)), (2, 1));
        assert!(passwords.verify("ali", "open sesame", Some(first)).await);
        assert!(!passwords.verify("baba", "open sesame", None).await);
        assert_eq!((kept(0), kept(1)), (2, 1));
        assert!(!passwords.verify("ali", "open sesame", Some(hash("changed"))).await);
        assert!(!passwords.verify("ali", "", Some("no hash".to_owned())).await);
        for number in 0..KEPT_MAX {
            passwords.keep(key(&[&number.to_string()]), false);
        }
        assert!(kept(0) <= KEPT_MAX);
        assert_eq!(kept(1), 1, "guesses do not push out what is right");
    }

    #[test]
    fn the_hash_of_nobody_is_one() {
        assert_eq!(bcrypt::verify("", NOBODY).ok(), Some(false));
    }
}
