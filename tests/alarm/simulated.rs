//! Small seeded runs.
