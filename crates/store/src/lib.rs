//! All SQL of the platform, one module a group of tables, and its one migrator.
