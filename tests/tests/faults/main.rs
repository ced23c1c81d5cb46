//! Processes that are killed, stopped and started, and databases that go away. Every test has servers of its own.
