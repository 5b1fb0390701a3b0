//! C3P as the documents describe it, in plain text: requests out of templates, answers through a small XML reader.

/// The namespace of C3P (c3p.md 1.4).
const CCCP: &str = "urn:ietf:params:xml:ns:cccp";
const CCCP_EXTENSIONS: &str = "http://schemas.microsoft.com/rtc/2005/08/cccpextensions";
const CONFERENCE_INFO: &str = "urn:ietf:params:xml:ns:conference-info";
const CONFERENCE_INFO_EXTENSIONS: &str = "http://schemas.microsoft.com/rtc/2005/08/confinfoextensions";

/// The content type of C3P.
pub const CONTENT_TYPE: &str = "application/cccp+xml";

/// The envelope around one command (c3p.md 2.1).
pub fn request(id: u32, from: &str, to: &str, command: &str) -> String {
    format!(
        r#"<?xml version="1.0"?>
<request xmlns="{CCCP}" xmlns:mscp="{CCCP_EXTENSIONS}" C3PVersion="1" requestId="{id}" from="{from}" to="{to}">
{command}
</request>"#
    )
}

/// Makes a conference (c3p.md 2.4).
pub fn add_conference(conference_id: &str, subject: &str, admission_policy: &str) -> String {
    format!(
        r#"<addConference>
 <ci:conference-info xmlns:ci="{CONFERENCE_INFO}" entity="" xmlns:msci="{CONFERENCE_INFO_EXTENSIONS}">
  <ci:conference-description>
   <ci:subject>{subject}</ci:subject>
   <msci:conference-id>{conference_id}</msci:conference-id>
   <msci:admission-policy>{admission_policy}</msci:admission-policy>
  </ci:conference-description>
  <msci:conference-view>
   <msci:entity-view entity="audio-video"/>
  </msci:conference-view>
 </ci:conference-info>
</addConference>"#
    )
}

/// Joins the Focus (c3p.md 2.5).
pub fn join(focus: &str, user: &str, endpoint: &str, role: &str) -> String {
    format!(
        r#"<addUser>
 <conferenceKeys confEntity="{focus}"/>
 <ci:user xmlns:ci="{CONFERENCE_INFO}" entity="{user}">
  <ci:roles><ci:entry>{role}</ci:entry></ci:roles>
  <ci:endpoint entity="{endpoint}" xmlns:msci="{CONFERENCE_INFO_EXTENSIONS}">
   <msci:clientInfo>
    <cis:separator xmlns:cis="urn:ietf:params:xml:ns:conference-info-separator"/>
    <msci2:lobby-capable xmlns:msci2="http://schemas.microsoft.com/rtc/2008/12/confinfoextensions">true</msci2:lobby-capable>
   </msci:clientInfo>
  </ci:endpoint>
 </ci:user>
</addUser>"#
    )
}

/// Lets the MCU call somebody (c3p.md 2.6).
pub fn dial_out(focus: &str, user: &str, endpoint: &str, role: &str) -> String {
    let mcu = mcu_uri(focus);
    format!(
        r#"<addUser mscp:mcuUri="{mcu}">
 <conferenceKeys confEntity="{focus}"/>
 <ci:user xmlns:ci="{CONFERENCE_INFO}" xmlns:msci="{CONFERENCE_INFO_EXTENSIONS}" entity="{user}">
  <ci:roles><ci:entry>{role}</ci:entry></ci:roles>
  <ci:endpoint entity="{endpoint}" msci:session-type="audio-video" msci:endpoint-uri="{user}">
   <ci:joining-method>dialed-out</ci:joining-method>
   <ci:media id="1"><ci:type>audio</ci:type></ci:media>
  </ci:endpoint>
 </ci:user>
</addUser>"#
    )
}

/// Mutes or unmutes one medium of one endpoint (c3p.md 2.8).
pub fn set_mute(focus: &str, user: &str, endpoint: &str, media: &str, muted: bool) -> String {
    let mcu = mcu_uri(focus);
    let (status, filter) = if muted { ("recvonly", "block") } else { ("sendrecv", "unblock") };
    format!(
        r#"<modifyEndpointMedia mscp:mcuUri="{mcu}">
 <mediaKeys confEntity="{focus}" userEntity="{user}" endpointEntity="{endpoint}" mediaId="{media}"/>
 <ci:media xmlns:ci="{CONFERENCE_INFO}" xmlns:msci="{CONFERENCE_INFO_EXTENSIONS}" id="{media}">
  <ci:type>audio</ci:type>
  <ci:status>{status}</ci:status>
  <msci:media-ingress-filter>{filter}</msci:media-ingress-filter>
 </ci:media>
</modifyEndpointMedia>"#
    )
}

/// Ejects a user (c3p.md 2.8).
pub fn delete_user(focus: &str, user: &str) -> String {
    format!(r#"<deleteUser><userKeys confEntity="{focus}" userEntity="{user}"/></deleteUser>"#)
}

/// Gives a user another role (c3p.md 2.8).
pub fn set_role(focus: &str, user: &str, role: &str) -> String {
    format!(
        r#"<modifyUserRoles><userKeys confEntity="{focus}" userEntity="{user}"/><user-roles xmlns="urn:ietf:params:xml:ns:conference-info"><entry>{role}</entry></user-roles></modifyUserRoles>"#
    )
}

/// Ends the active conference (c3p.md 2.8).
pub fn delete_conference(focus: &str) -> String {
    format!(r#"<deleteConference><conferenceKeys confEntity="{focus}"/></deleteConference>"#)
}

/// Locks or unlocks the conference (c3p.md 2.8).
pub fn set_lock(focus: &str, locked: bool) -> String {
    format!(
        r#"<modifyConferenceLock><conferenceKeys confEntity="{focus}"/><locked>{locked}</locked></modifyConferenceLock>"#
    )
}

/// The A/V MCU's URI: the Focus URI with another type (c3p.md 1.2).
pub fn mcu_uri(focus: &str) -> String {
    focus.replace("app:conf:focus:", "app:conf:audio-video:")
}

/// The Focus Factory of an organiser's address of record (c3p.md 1.2).
pub fn factory_uri(organizer: &str) -> String {
    format!("{organizer};gruu;opaque=app:conf:focusfactory")
}

/// Deepest nesting the reader follows.
const DEPTH_MAX: usize = 32;

/// An XML element. Names are without prefixes: the test kit knows what it asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// The local name.
    pub name: String,
    /// Local names and values.
    pub attributes: Vec<(String, String)>,
    /// Child elements in order.
    pub children: Vec<Element>,
    /// The text directly inside.
    pub text: String,
}

impl Element {
    /// Reads a document's root element. Comments, processing instructions and CDATA are not understood.
    pub fn parse(document: &str) -> Option<Self> {
        let mut open: Vec<Self> = Vec::new();
        let mut rest = document;
        while let Some(start) = rest.find('<') {
            if let Some(element) = open.last_mut() {
                element.text.push_str(unescape(rest[..start].trim()).as_str());
            }
            let end = start + rest[start..].find('>')?;
            let tag = &rest[start + 1..end];
            rest = &rest[end + 1..];
            if tag.starts_with('?') || tag.starts_with('!') {
                continue;
            }
            if !tag.starts_with('/') {
                if open.len() == DEPTH_MAX {
                    return None;
                }
                open.push(Self::from_tag(tag.trim_end_matches('/')));
                if !tag.ends_with('/') {
                    continue;
                }
            }
            let closed = open.pop()?;
            match open.last_mut() {
                Some(parent) => parent.children.push(closed),
                None => return Some(closed),
            }
        }
        None
    }

    /// The value of an attribute, whatever its prefix.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(existing, _)| existing == name).map(|(_, value)| value.as_str())
    }

    /// The first child of that name.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The first descendant along a path of names.
    pub fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |element, name| element.child(name))
    }

    /// The text of the first descendant along a path of names.
    pub fn text_at(&self, path: &[&str]) -> Option<&str> {
        self.at(path).map(|element| element.text.as_str())
    }

    /// All children of that name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    fn from_tag(tag: &str) -> Self {
        let (name, mut rest) = tag.split_once(char::is_whitespace).unwrap_or((tag, ""));
        let mut element = Self { name: local(name), ..Self::default() };
        while let Some((key, after)) = rest.split_once('=') {
            let after = after.trim_start();
            let Some(quote) = after.chars().next().filter(|quote| matches!(quote, '"' | '\'')) else { break };
            let Some((value, tail)) = after[1..].split_once(quote) else { break };
            if !key.trim().starts_with("xmlns") {
                element.attributes.push((local(key.trim()), unescape(value)));
            }
            rest = tail;
        }
        element
    }
}

fn local(name: &str) -> String {
    name.rsplit(':').next().unwrap_or(name).to_owned()
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_reads_back_as_the_tree_it_was_made_from() {
        let focus = "sip:ann@example.com;gruu;opaque=app:conf:focus:id:K3V9PX2Q";
        let text = request(7, "sip:ann@example.com", focus, &dial_out(focus, "sip:bob@example.com", "{1}", "attendee"));
        let root = Element::parse(&text).expect("valid");
        assert_eq!((root.name.as_str(), root.attribute("requestId")), ("request", Some("7")));
        let user = root.at(&["addUser", "user"]).expect("user");
        assert_eq!(user.attribute("entity"), Some("sip:bob@example.com"));
        assert_eq!(user.text_at(&["endpoint", "joining-method"]), Some("dialed-out"));
        let mcu = "sip:ann@example.com;gruu;opaque=app:conf:audio-video:id:K3V9PX2Q";
        assert_eq!(root.child("addUser").and_then(|element| element.attribute("mcuUri")), Some(mcu));
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in "[<>/a&;=\"' :?!é]{0,80}") {
            let _ = Element::parse(&text);
        }
    }
}
