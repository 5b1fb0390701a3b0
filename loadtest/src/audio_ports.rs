//! Which audio ports a server that is started here gets. It takes all of its range at once, and refuses one in which somebody
//! else has a port.

use std::ops::RangeInclusive;

use crate::Failure;

/// Below those that the kernel gives to callers.
const PORTS: RangeInclusive<u16> = 10_000..=31_999;
/// Audio ports beside two for each caller: whoever leads, and who has just left.
const BESIDE: usize = 400;

/// The widest part of the range that nobody has a port in, from an even port on.
///
/// # Errors
/// Too few for that many callers.
pub(crate) fn free_ports(taken: &[u16], callers: usize) -> Result<RangeInclusive<u16>, Failure> {
    let (first, last) = (*PORTS.start(), *PORTS.end());
    let mut fences: Vec<u16> = taken.iter().copied().filter(|port| PORTS.contains(port)).collect();
    fences.extend([first - 1, last + 1]);
    fences.sort_unstable();
    let gaps = fences.windows(2).map(|pair| ((pair[0] + 1).next_multiple_of(2), pair[1] - 1));
    let width = |(first, last): &(u16, u16)| (last + 1).saturating_sub(*first);
    let (first, last) = gaps.max_by_key(width).unwrap_or((first, last));
    let (free, needed) = (usize::from(width(&(first, last))), 2 * callers + BESIDE);
    if free < needed {
        return Err(Failure(format!(
            "of the audio ports {} to {} at most {free} in a row are free, and the plan needs {needed}: end what has them",
            PORTS.start(),
            PORTS.end()
        )));
    }
    Ok(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audio_ports_are_where_nobody_has_one() {
        let ports = |taken: &[u16], callers| free_ports(taken, callers).map_err(|why| why.0);
        assert_eq!(ports(&[], 10_000), Ok(10_000..=31_999));
        assert_eq!(ports(&[9_999, 32_000, 53], 1), Ok(10_000..=31_999), "others' ports lie outside");
        assert_eq!(ports(&[10_000, 12_000, 12_000], 100), Ok(12_002..=31_999), "from an even port on");
        assert_eq!(ports(&[30_001, 31_999], 100), Ok(10_000..=30_000));
        let narrow = ports(&[20_000], 7_000).expect_err("too few");
        assert!(narrow.contains("at most 11998 in a row are free, and the plan needs 14400"), "{narrow}");
        let hedge: Vec<u16> = PORTS.collect();
        assert!(ports(&hedge, 1).is_err());
    }
}
