//! Decides, over the ports of `adapters`; prints nothing and touches nothing itself.
