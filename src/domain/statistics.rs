//! Plain statistics over slices of numbers, each with the source of its formula.

/// The mean of what is left when the share `cut` of the values is taken off, half at each end;
/// `None` of nothing.
pub fn trimmed_mean(_values: &[f64], _cut: f64) -> Option<f64> {
    todo!()
}
