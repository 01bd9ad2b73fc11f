//! One file a command: parsing of arguments, no decisions.
