//! The shared tier in Redis.
