//! `Replaces` (RFC 3891): which dialog a call is to take the place of.

use call::DialogNames;

/// A `Replaces` header value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Replaces {
    /// The dialog as the side that is sent the header names it.
    pub(crate) dialog: DialogNames,
    /// Only if it has not been answered.
    pub(crate) early_only: bool,
}

impl Replaces {
    /// Reads a header value; `None` when it names no dialog.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        let mut parts = value.split(';').map(str::trim);
        let call_id = parts.next().filter(|call_id| !call_id.is_empty())?.to_owned();
        let (mut local_tag, mut remote_tag, mut early_only) = (None, None, false);
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "to-tag" if local_tag.is_none() => local_tag = Some(value.trim().to_owned()),
                "from-tag" if remote_tag.is_none() => remote_tag = Some(value.trim().to_owned()),
                "to-tag" | "from-tag" => return None,
                "early-only" => early_only = true,
                _ => {}
            }
        }
        Some(Self { dialog: DialogNames { call_id, local_tag: local_tag?, remote_tag: remote_tag? }, early_only })
    }

    /// What the header part of a `Refer-To` URI says, if it says anything of it.
    pub(crate) fn in_uri(headers: Option<&str>) -> Option<Option<Self>> {
        let fields = headers?.split('&').filter_map(|field| field.split_once('='));
        let mut values = fields.filter(|(name, _)| name.eq_ignore_ascii_case("Replaces")).map(|(_, value)| value);
        let value = values.next()?;
        Some(unescape(value).filter(|_| values.next().is_none()).and_then(|value| Self::parse(&value)))
    }
}

/// Undoes the escapes of a URI (RFC 3261 19.1.2).
fn unescape(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.bytes());
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_names_a_dialog_by_all_three_parts() {
        let read = Replaces::parse("425928@x ;to-tag=7743;from-tag=6472;early-only").expect("valid");
        let dialog = &read.dialog;
        let names = [&dialog.call_id, &dialog.local_tag, &dialog.remote_tag];
        assert_eq!((names, read.early_only), ([&"425928@x".into(), &"7743".into(), &"6472".into()], true));
        for broken in ["", ";to-tag=1;from-tag=2", "a;to-tag=1", "a;from-tag=2", "a;to-tag=1;to-tag=2;from-tag=3"] {
            assert_eq!(Replaces::parse(broken), None, "{broken}");
        }
    }

    #[test]
    fn the_header_part_of_a_uri_is_escaped() {
        let of = |headers| Replaces::in_uri(Some(headers));
        let read = of("Subject=x&Replaces=12345%40192.0.2.1%3Bto-tag%3D1%3Bfrom-tag%3D2").flatten().expect("valid");
        assert_eq!(read.dialog.call_id, "12345@192.0.2.1");
        assert_eq!(of("Subject=x"), None);
        assert_eq!(Replaces::in_uri(None), None);
        for broken in ["Replaces=a", "Replaces=a%3", "Replaces=%zz", "Replaces=%ff%3Bto-tag%3D1%3Bfrom-tag%3D2"] {
            assert_eq!(of(broken), Some(None), "{broken}");
        }
    }
}
