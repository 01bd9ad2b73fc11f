//! How much a request may read at the most, known before it is sent.
//!
//! No tokenizer makes more tokens than there are bytes, so the bytes are a bound; where a
//! conversation goes on from a call whose true input is known, that call's input and the bytes that
//! are new are a tighter one.
