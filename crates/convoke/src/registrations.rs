//! Registered devices between the SIP edge and the store, so that a restart leaves them reachable.

use base::{Duration, UserUri};
use sip::{Registration, RegistrationKeeper};
use sip_api::{Binding, Flow, Headers, SipUri, Transport};
use store::{RegistrationRow, Store, StoreError};

use crate::calendar::Calendar;
use crate::config::Config;
use crate::storage::StorageQueue;

/// The edge's way to the store.
pub(crate) struct Keeper {
    pub(crate) storage: StorageQueue,
    pub(crate) calendar: Calendar,
}

impl RegistrationKeeper for Keeper {
    fn keep(&self, user: &UserUri, devices: Vec<Registration>) {
        let rows = devices.iter().map(|device| row(device, self.calendar.now())).collect();
        self.storage.keep_registrations(user.clone(), rows);
    }
}

/// The devices an earlier process knew, of users who still have an account.
pub(crate) async fn load(store: &Store, config: &Config, calendar: Calendar) -> Result<Vec<Registration>, StoreError> {
    let now = calendar.now();
    let rows = store.registrations(now).await?;
    let known = rows.into_iter().filter(|(user, _)| config.users.iter().any(|account| account.uri == *user));
    // A row that cannot be read is a device that has to register again.
    Ok(known.filter_map(|(user, row)| registration(user, &row, now)).collect())
}

fn row(device: &Registration, now: i64) -> RegistrationRow {
    let Binding { contact, path, flow, instance, preference } = &device.binding;
    let path: Vec<String> = path.iter().map(ToString::to_string).collect();
    RegistrationRow {
        contact: contact.to_string(),
        path: path.join(", "),
        transport: flow.transport.as_str().to_owned(),
        local: flow.local.to_string(),
        remote: flow.remote.to_string(),
        instance: instance.clone(),
        preference: *preference,
        call_id: device.call_id.clone(),
        cseq: device.cseq,
        expires: now.saturating_add(i64::try_from(device.lifetime.as_millis()).unwrap_or(i64::MAX)),
    }
}

fn registration(user: UserUri, row: &RegistrationRow, now: i64) -> Option<Registration> {
    let transport = [Transport::Udp, Transport::Tcp, Transport::Tls];
    let transport = transport.into_iter().find(|transport| transport.as_str() == row.transport)?;
    let path = match row.path.as_str() {
        "" => Vec::new(),
        path => Headers::new().with("Path", path).name_addrs("Path").ok()?,
    };
    Some(Registration {
        user,
        binding: Binding {
            contact: SipUri::parse(&row.contact).ok()?,
            path,
            flow: Flow { transport, local: row.local.parse().ok()?, remote: row.remote.parse().ok()? },
            instance: row.instance.clone(),
            preference: row.preference,
        },
        call_id: row.call_id.clone(),
        cseq: row.cseq,
        lifetime: Duration::from_millis(u64::try_from(row.expires.checked_sub(now)?).ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_api::NameAddr;

    #[test]
    fn a_device_comes_back_from_its_row() {
        let address = |text: &str| text.parse().expect("address");
        let path = ["<sip:proxy.example;lr>", "<sip:10.0.0.9:5070;transport=tcp;lr>"];
        let device = Registration {
            user: UserUri::parse("sip:ann@example.com").expect("valid"),
            binding: Binding {
                contact: SipUri::parse("sip:ann@[2001:db8::1]:5070;transport=tls;ob").expect("valid"),
                path: path.map(|path| NameAddr::parse(path).expect("valid")).to_vec(),
                flow: Flow {
                    transport: Transport::Tls,
                    local: address("[::1]:5061"),
                    remote: address("[2001:db8::1]:40000"),
                },
                instance: Some("<urn:uuid:1>".to_owned()),
                preference: 700,
            },
            call_id: "c@x".to_owned(),
            cseq: u32::MAX,
            lifetime: Duration::from_secs(100),
        };
        let row = row(&device, 5_000);
        assert_eq!(row.expires, 105_000);
        let back = |now| registration(device.user.clone(), &row, now);
        assert_eq!(back(5_000).as_ref(), Some(&device));
        assert_eq!(back(65_000).map(|back| back.lifetime), Some(Duration::from_secs(40)));
        assert_eq!(back(105_001), None, "its time is over");
        let broken = RegistrationRow { remote: "nowhere".to_owned(), ..row.clone() };
        assert_eq!(registration(device.user.clone(), &broken, 0), None);
    }
}
