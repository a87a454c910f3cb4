mod drift;
mod profile;
