mod laws;
mod performance;
