# What one does daily: `just` lists it. Each recipe is one command, which you can also type.

[private]
default:
    @just --list

# Format, lints, all tests and documentation: what must pass before a change lands
check:
    scripts/check

# The same, ten times as many random cases, and the fuzz targets
check-long:
    scripts/check --long

# One test suite, or one case of it: just test store sessions
test SUITE *CASE:
    cargo test --test {{ SUITE }} {{ CASE }}

# A random case that failed, by the seed that it printed: just replay durability 17 power_loss
replay SUITE SEED *CASE:
    AUTHKV_TEST_SEED={{ SEED }} cargo test --test {{ SUITE }} {{ CASE }} -- --nocapture

# A fuzz target for some seconds: just fuzz operations 60
fuzz TARGET SECONDS="60":
    mkdir -p fuzz/corpus/{{ TARGET }}
    cargo +nightly fuzz run -O -s none {{ TARGET }} fuzz/corpus/{{ TARGET }} fuzz/regressions/{{ TARGET }} -- -max_total_time={{ SECONDS }} -max_len=960 -malloc_limit_mb=64

# The store beside SQLite, LMDB, fjall and bare redb: each goal with its figure
bench *ARGS="check":
    cargo run --release -p authkv-bench -- {{ ARGS }}

# Instructions of the hot paths, the same on a busy machine; needs valgrind
instructions *PATHS:
    scripts/instructions {{ PATHS }}

# The documentation, with every link checked
docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --all-features
    scripts/links

# The web application, to try in a browser
web *ARGS:
    cargo run --release -p authkv-web -- {{ ARGS }}
