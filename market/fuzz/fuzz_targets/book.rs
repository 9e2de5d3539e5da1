//! Any bytes as commands: the book agrees with a slower one on every event and stays whole.
#![no_main]

#[path = "../../tests/support/script.rs"]
mod script;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    script::run(bytes, 16);
});
