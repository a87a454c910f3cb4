mod decode;
mod drift;
mod laws;
mod performance;
mod profile;
