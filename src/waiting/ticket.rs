//! Where does this visitor stand? The ticket: what a visitor carries, so that no store is asked for their place.
//!
//! `<key id>.<payload>.<MAC>`, both in base64url. It is ours alone and is checked with each poll, so it is a MAC and no
//! signature: a third of a microsecond, where a pass takes thirty.
//!
//! - The MAC is HMAC-SHA-256, cut to 16 bytes, over the whole payload; the key id is in the key that it is made with.
//! - A ticket never expires. It says where its user once stood; what became of it is known by the number.
//! - One ticket has one spelling: base64 with padding or stray bits is none.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac;

use super::keys::PassKeys;
use crate::ids::{CampaignId, UserId};

/// The payload: version 1, generation 4, number 8, place 8, length of the campaign's id 1, the campaign's id, the user's.
///
/// Of a room that has a life, the generation's upper 24 bits are the life, and the place's upper 28 are the people ahead.
/// A node that knows of no lives reads a generation that is none, and asks Redis by the user: it is never wrong.
const VERSION: u8 = 1;
const GENERATION_BITS: u32 = 8;
const PLACE_BITS: u32 = 36;
/// Not told yet.
const NO_AHEAD: u64 = (1 << (64 - PLACE_BITS)) - 1;
/// [`Placed::INSIDE`].
const PACKED_INSIDE: u64 = (1 << PLACE_BITS) - 1;
const HEAD_BYTES: usize = 22;
const PAYLOAD_BYTES_MAX: usize = HEAD_BYTES + CampaignId::BYTES_MAX + UserId::BYTES_MAX;
const MAC_BYTES: usize = 16;
const MAC_CHARACTERS: usize = 22;
const CHARACTERS_MAX: usize = 32 + 1 + (PAYLOAD_BYTES_MAX * 4).div_ceil(3) + 1 + MAC_CHARACTERS;

/// All that a ticket says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The campaign that its user waits for.
    pub campaign: CampaignId,
    /// Whose it is.
    pub user: UserId,
    /// Where they stood.
    pub placed: Placed,
}

/// Where a visitor stands, as their ticket has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// The campaign's generation when they joined.
    pub generation: u32,
    /// The room's life when they joined; 0: it was begun by a node that knew of none.
    pub life: u32,
    /// Their arrival number.
    pub number: u64,
    /// Their place in the order; 0 while it is not known: only a draw makes it differ from the number.
    pub place: u64,
    /// The people ahead as they were told last: they are never told more, whichever node they ask. `None`: not told yet.
    pub ahead: Option<u64>,
}

impl Placed {
    /// The place of who was admitted: how they stand is for Redis to say from then on, since a node that has not heard of
    /// it yet would tell them to wait.
    pub const INSIDE: u64 = u64::MAX;

    /// As a ticket has them: generation and place. What does not fit is left out, and then Redis is asked.
    fn packed(&self) -> (u32, u64) {
        let fits = self.generation < 1 << GENERATION_BITS && self.life < 1 << (u32::BITS - GENERATION_BITS);
        match self.life {
            0 => (self.generation, self.place),
            life if fits => {
                let ahead = self.ahead.map_or(NO_AHEAD, |ahead| ahead.min(NO_AHEAD));
                let place = self.place.min(PACKED_INSIDE);
                (life << GENERATION_BITS | self.generation, ahead << PLACE_BITS | place)
            }
            _ => (0, Self::INSIDE),
        }
    }

    fn unpacked(generation: u32, number: u64, place: u64) -> Self {
        let life = generation >> GENERATION_BITS;
        if life == 0 {
            return Self { generation, life, number, place, ahead: None };
        }
        let generation = generation & ((1 << GENERATION_BITS) - 1);
        let ahead = Some(place >> PLACE_BITS).filter(|ahead| *ahead < NO_AHEAD);
        let place = Some(place & PACKED_INSIDE).filter(|place| *place < PACKED_INSIDE).unwrap_or(Self::INSIDE);
        Self { generation, life, number, place, ahead }
    }
}

/// A ticket's parts, still in the reader's buffer.
struct Parts<'a> {
    placed: Placed,
    campaign: &'a [u8],
    user: &'a [u8],
}

/// Writes tickets with the current key, and reads those of all.
#[derive(Clone)]
pub struct Tickets {
    keys: PassKeys,
}

impl Tickets {
    /// Tickets of these keys.
    #[must_use]
    pub fn new(keys: &PassKeys) -> Self {
        Self { keys: keys.clone() }
    }

    /// The ticket as text; nothing in it has to be escaped in an address.
    #[must_use]
    pub fn write(&self, ticket: &Ticket) -> String {
        let (campaign, user) = (ticket.campaign.as_str(), ticket.user.as_str());
        let mut payload = Vec::with_capacity(PAYLOAD_BYTES_MAX);
        payload.push(VERSION);
        let (generation, place) = ticket.placed.packed();
        payload.extend_from_slice(&generation.to_be_bytes());
        payload.extend_from_slice(&ticket.placed.number.to_be_bytes());
        payload.extend_from_slice(&place.to_be_bytes());
        payload.push(u8::try_from(campaign.len()).expect("an id has at most 64 bytes"));
        payload.extend_from_slice(campaign.as_bytes());
        payload.extend_from_slice(user.as_bytes());
        self.seal(&payload)
    }

    fn seal(&self, payload: &[u8]) -> String {
        let key = self.keys.current();
        let mac = key.ticket_mac.clone().chain_update(payload).finalize().into_bytes();
        let mut text = String::with_capacity(CHARACTERS_MAX);
        text.push_str(&key.id);
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut text);
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(&mac[..MAC_BYTES], &mut text);
        text
    }

    /// What the ticket says; `None` if it is none of ours.
    #[must_use]
    pub fn read(&self, text: &str) -> Option<Ticket> {
        let mut buffer = [0; PAYLOAD_BYTES_MAX + 2];
        let parts = self.parts(text, &mut buffer)?;
        let id = |bytes| std::str::from_utf8(bytes).ok();
        Some(Ticket {
            campaign: id(parts.campaign)?.parse().ok()?,
            user: UserId::recorded(id(parts.user)?)?,
            placed: parts.placed,
        })
    }

    /// Where this user stands before this campaign; `None` if the ticket is not theirs for it, or none of ours. Allocates
    /// nothing: it is called for every poll.
    #[must_use]
    pub fn check(&self, text: &str, campaign: &CampaignId, user: &UserId) -> Option<Placed> {
        let mut buffer = [0; PAYLOAD_BYTES_MAX + 2];
        let parts = self.parts(text, &mut buffer)?;
        let suits = parts.campaign == campaign.as_str().as_bytes() && parts.user == user.as_str().as_bytes();
        suits.then_some(parts.placed)
    }

    /// The buffer has room for two bytes more than a payload, as the decoder counts in groups of four characters. A text
    /// that is longer is refused before it is decoded.
    fn parts<'a>(&self, text: &str, buffer: &'a mut [u8; PAYLOAD_BYTES_MAX + 2]) -> Option<Parts<'a>> {
        // From the right: a key's id may have dots itself.
        let (rest, mac_text) = text.rsplit_once('.')?;
        let (key_id, payload_text) = rest.rsplit_once('.')?;
        let key = self.keys.find(key_id)?;
        let mut mac = [0; MAC_BYTES + 2];
        if mac_text.len() != MAC_CHARACTERS {
            return None;
        }
        let mac_bytes = URL_SAFE_NO_PAD.decode_slice(mac_text, &mut mac).ok()?;
        let bytes = URL_SAFE_NO_PAD.decode_slice(payload_text, buffer).ok()?;
        let payload = &buffer[..bytes];
        key.ticket_mac.clone().chain_update(payload).verify_truncated_left(&mac[..mac_bytes]).ok()?;

        let (version, rest) = payload.split_first()?;
        let (generation, rest) = rest.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (place, rest) = rest.split_first_chunk()?;
        let (campaign_bytes, rest) = rest.split_first()?;
        let (campaign, user) = rest.split_at_checked(usize::from(*campaign_bytes))?;
        let [number, place] = [number, place].map(|bytes| u64::from_be_bytes(*bytes));
        let placed = Placed::unpacked(u32::from_be_bytes(*generation), number, place);
        (*version == VERSION).then_some(Parts { placed, campaign, user })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::keys::samples::keys;
    use super::*;

    const OTHER: &str = "0b";

    fn tickets() -> Tickets {
        Tickets::new(&keys("1", "", &[]))
    }

    fn ticket(campaign: &str, user: &str, placed: Placed) -> Ticket {
        Ticket { campaign: campaign.parse().unwrap(), user: UserId::recorded(user).unwrap(), placed }
    }

    /// Of a room that a node began which knew of no lives.
    fn old(generation: u32, number: u64, place: u64) -> Placed {
        Placed { generation, life: 0, number, place, ahead: None }
    }

    fn sample() -> Ticket {
        ticket("WELCOME_001", "alice", old(1, 1_201, 0))
    }

    proptest! {
        #[test]
        fn a_ticket_says_what_it_was_written_for(
            campaign in "[A-Za-z0-9][A-Za-z0-9._:@-]{0,63}", user in "[a-z가-힣 .]{1,40}",
            generation in 0_u32..256, life in 0_u32..1 << 24, number: u64, place in 0_u64..PACKED_INSIDE,
            ahead in proptest::option::of(0..NO_AHEAD), is_inside: bool,
        ) {
            let place = if is_inside { Placed::INSIDE } else { place };
            let ahead = ahead.filter(|_| life > 0);
            let ticket = ticket(&campaign, &user, Placed { generation, life, number, place, ahead });
            let text = tickets().write(&ticket);
            prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)), "{}", text);
            prop_assert_eq!(tickets().check(&text, &ticket.campaign, &ticket.user), Some(ticket.placed));
            prop_assert_eq!(tickets().read(&text), Some(ticket));
        }

        #[test]
        fn one_flipped_bit_makes_it_nobodys(number: u64, at: prop::sample::Index, bit in 0_u32..8) {
            let ticket = ticket("c", "alice", old(1, number, number));
            let mut bytes = tickets().write(&ticket).into_bytes();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            if let Ok(text) = String::from_utf8(bytes) {
                prop_assert_eq!(tickets().check(&text, &ticket.campaign, &ticket.user), None);
                prop_assert_eq!(tickets().read(&text), None);
            }
        }
    }

    #[test]
    fn the_longest_ids_fit() {
        let long = ticket(&"c".repeat(64), &"u".repeat(128), old(1, 1, 1));
        let tickets = Tickets::new(&keys(&"k".repeat(32), "", &[]));
        let text = tickets.write(&long);
        assert_eq!(text.len(), CHARACTERS_MAX);
        assert_eq!(tickets.check(&text, &long.campaign, &long.user), Some(long.placed));
        assert_eq!(tickets.read(&text), Some(long));
    }

    #[test]
    fn another_user_and_another_campaign_have_no_place_by_it() {
        let (tickets, ticket) = (tickets(), sample());
        let text = tickets.write(&ticket);
        let check =
            |campaign: &str, user: &str| tickets.check(&text, &campaign.parse().unwrap(), &user.parse().unwrap());
        assert_eq!(check("WELCOME_001", "alice"), Some(ticket.placed));
        for (campaign, user) in [
            ("WELCOME_001", "bob"),
            ("WELCOME_001", "alic"),
            ("WELCOME_001", "alicea"),
            ("WELCOME_002", "alice"),
            ("WELCOME_00", "1alice"),
            ("WELCOME_001a", "lice"),
        ] {
            assert_eq!(check(campaign, user), None, "{campaign} {user}");
        }
    }

    #[test]
    fn a_ticket_of_an_older_key_is_read_and_none_is_written_with_it() {
        let (old, ticket) = (tickets(), sample());
        let text = old.write(&ticket);
        let rotated = Tickets::new(&keys("2.b", &OTHER.repeat(32), &[("1", "")]));
        assert_eq!(rotated.read(&text), Some(ticket.clone()));
        let new = rotated.write(&ticket);
        assert!(new.starts_with("2.b."), "{new}");
        assert_eq!(rotated.read(&new), Some(ticket.clone()));
        assert_eq!(old.read(&new), None, "a key that is not known");
        assert_eq!(Tickets::new(&keys("2.b", &OTHER.repeat(32), &[])).read(&text), None, "a key that is gone");
    }

    #[test]
    fn the_same_key_under_another_id_is_another_key() {
        let set = OTHER.repeat(32);
        let text = Tickets::new(&keys("1", &set, &[])).write(&sample());
        let both = Tickets::new(&keys("1", &set, &[("2", &set)]));
        assert_eq!(both.read(&text), Some(sample()));
        assert_eq!(both.read(&text.replacen("1.", "2.", 1)), None);
    }

    #[test]
    fn a_ticket_is_no_short_mac_and_no_other_text() {
        let text = tickets().write(&sample());
        let (head, mac) = text.rsplit_once('.').unwrap();
        let empty = format!("{head}.");
        let short = format!("{head}.{}", &mac[..20]);
        let padded = format!("{text}==");
        let stray = format!("{head}.{mac}.");
        let long = format!("1.{}.{mac}", "A".repeat(5_000));
        for bad in ["", ".", "..", "1..", "쿠폰.쿠폰.쿠폰", head, &empty, &short, &padded, &stray, &long] {
            assert_eq!(tickets().read(bad), None, "{bad}");
        }
    }

    #[test]
    fn another_version_is_not_read_as_this_one() {
        let (tickets, ticket) = (tickets(), sample());
        let with = |version: u8| {
            let text = tickets.write(&ticket);
            let mut payload = URL_SAFE_NO_PAD.decode(text.split('.').nth(1).unwrap()).unwrap();
            payload[0] = version;
            tickets.seal(&payload)
        };
        assert_eq!(tickets.read(&with(VERSION)), Some(ticket.clone()));
        assert_eq!(tickets.read(&with(VERSION + 1)), None);
        assert_eq!(tickets.check(&with(0), &ticket.campaign, &ticket.user), None);
    }

    /// Written down once: tickets must outlive an update of the program.
    #[test]
    fn the_form_of_a_ticket_does_not_change_by_accident() {
        let golden = "1.AQAAAAEAAAAAAAAEsQAAAAAAAAAAC1dFTENPTUVfMDAxYWxpY2U.laFAAd-4gvQfv-9UWfAbIw";
        assert_eq!(tickets().write(&sample()), golden);
    }

    #[test]
    fn what_does_not_fit_is_a_ticket_of_no_room_and_never_of_another() {
        let with = |generation, life, place, ahead| {
            let placed = Placed { generation, life, number: 7, place, ahead };
            let (generation, place) = placed.packed();
            Placed::unpacked(generation, 7, place)
        };
        for (generation, life) in [(256, 1), (1, 1 << 24), (u32::MAX, u32::MAX)] {
            assert_eq!(with(generation, life, 7, Some(3)), old(0, 7, Placed::INSIDE), "{generation} {life}");
        }
        assert_eq!(with(1, 1, 7, Some(u64::MAX)).ahead, None);
        assert_eq!(with(1, 1, u64::MAX - 1, Some(3)).place, Placed::INSIDE);
    }

    /// Nodes from before there were lives read the generation whole: none of theirs is above 255.
    #[test]
    fn an_older_node_takes_a_ticket_of_a_life_for_one_of_another_generation() {
        for life in [1, 2, (1 << 24) - 1] {
            let placed = Placed { generation: 1, life, number: 7, place: 7, ahead: Some(3) };
            assert!(placed.packed().0 > 255, "{life}");
        }
    }
}
