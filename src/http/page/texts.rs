//! What does the page say? Every text that a visitor reads, in each language.

use axum::http::{HeaderMap, header};

/// A language of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lang {
    En,
    Ko,
}

impl Lang {
    /// Of a code such as `ko` or `en-GB`.
    pub(crate) fn of(code: &str) -> Option<Self> {
        match code.split('-').next()?.trim().to_ascii_lowercase().as_str() {
            "en" => Some(Self::En),
            "ko" => Some(Self::Ko),
            _ => None,
        }
    }

    /// The one that the browser's user would rather read; English if neither is named.
    pub(crate) fn accepted(headers: &HeaderMap) -> Self {
        let sent = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut best = (0.0, Self::En);
        for part in sent.split(',') {
            let mut words = part.split(';');
            let Some(lang) = words.next().and_then(Self::of) else { continue };
            let weight = words.find_map(|word| word.trim().strip_prefix("q=")?.parse().ok()).unwrap_or(1.0_f32);
            // The first of two that are wanted equally.
            if weight > best.0 {
                best = (weight, lang);
            }
        }
        best.1
    }

    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Ko => "ko",
        }
    }

    pub(crate) fn other(self) -> Self {
        match self {
            Self::En => Self::Ko,
            Self::Ko => Self::En,
        }
    }

    pub(crate) fn texts(self) -> &'static Texts {
        match self {
            Self::En => &EN,
            Self::Ko => &KO,
        }
    }
}

macro_rules! texts {
    ($($name:ident: $en:literal, $ko:literal;)+) => {
        /// All texts, in one language. `{n}` and the like stand for what is put there.
        pub(crate) struct Texts { $(pub(crate) $name: &'static str),+ }
        static EN: Texts = Texts { $($name: $en),+ };
        static KO: Texts = Texts { $($name: $ko),+ };
        #[cfg(test)]
        const PAIRS: &[(&str, &str, &str)] = &[$((stringify!($name), $en, $ko)),+];
    };
}

texts! {
    language: "English", "한국어";
    next: "What happens next", "이후 진행 안내";
    to_shop: "Go to the shop", "쇼핑몰로 가기";
    without_script: "This page refreshes by itself every {n} seconds.", "이 페이지는 {n}초마다 자동으로 새로고침됩니다.";
    lost: "Connection lost. Trying again …", "연결이 끊겼습니다. 다시 연결하고 있어요 …";

    outside_title: "Please come through the shop", "쇼핑몰을 통해 들어와 주세요";
    outside: "We do not know who you are yet. Sign in at the shop and open this queue from there.",
        "아직 누구신지 확인하지 못했습니다. 쇼핑몰에 로그인한 뒤 이 대기열로 들어와 주세요.";
    outside_kept: "If you have a place already, it is still yours.", "이미 대기 중이셨다면 순서는 그대로 유지됩니다.";
    stale_title: "This link does not work", "사용할 수 없는 링크입니다";
    stale: "The link that brought you here is not valid, or not any more. Please go back to the shop and come from there again.",
        "올바르지 않거나 유효 시간이 지난 링크입니다. 쇼핑몰로 돌아가 다시 들어와 주세요.";

    cookieless_title: "Your browser keeps no cookies", "쿠키가 차단되어 있습니다";
    cookieless: "This page needs a cookie to know you again, and your browser has not kept it. Allow cookies for this site, then come from the shop again.",
        "고객님을 알아보려면 쿠키가 필요한데 브라우저에 저장되지 않았습니다. 이 사이트의 쿠키를 허용한 뒤 쇼핑몰에서 다시 들어와 주세요.";
    too_long_title: "This link is too long", "링크가 너무 깁니다";
    too_long: "The sign-in that the shop sent along is longer than a browser's cookie can be. Coming again does not help: please tell the shop.",
        "쇼핑몰에서 함께 보낸 로그인 정보가 브라우저 쿠키에 담을 수 있는 길이를 넘었습니다. 다시 들어와도 해결되지 않으니 쇼핑몰에 알려 주세요.";

    paused_title: "Paused for the moment", "잠시 중단되었습니다";
    paused: "Nobody is let in just now. When it goes on, this page says so by itself.",
        "지금은 아무도 입장할 수 없습니다. 다시 시작되면 이 페이지가 자동으로 바뀝니다.";
    gone: "Nothing is left at this moment. If somebody gives theirs up, this page says so by itself.",
        "지금은 남은 수량이 없습니다. 취소 수량이 생기면 이 페이지에 자동으로 표시됩니다.";
    stopped: "Nobody is let in at the moment. You keep your place, and it goes on by itself.",
        "지금은 입장이 잠시 중단되어 있습니다. 대기 순서는 그대로 유지되며, 다시 시작되면 자동으로 진행됩니다.";
    paused_turn: "It is paused at the moment. It is still your turn: please try again soon.",
        "잠시 중단된 상태입니다. 고객님 차례는 그대로이니 잠시 후 다시 시도해 주세요.";

    before_title: "Not open yet", "아직 시작 전이에요";
    before: "The queue opens at", "대기열이 열리는 시각";
    before_next: "Keep this page open: the button works from that moment on. Coming earlier does not get you an earlier place.",
        "이 페이지를 열어 두시면 시작과 동시에 버튼이 활성화됩니다. 미리 와 계셔도 순서가 앞당겨지지는 않아요.";

    join_title: "Join the queue", "대기열에 참여하세요";
    join: "You get one place, in the order of arrival. Coming again, or from another device, is the same place.",
        "도착한 순서대로 한 자리를 드립니다. 다시 접속하거나 다른 기기로 들어와도 같은 자리예요.";
    join_button: "Join the queue", "대기열 참여하기";
    join_next: "Then this page shows your place, and tells you when it is your turn.",
        "참여하시면 내 순서가 표시되고, 차례가 되면 이 페이지에서 알려 드려요.";
    join_draw_title: "Join the draw", "추첨에 참여하세요";
    join_draw: "Everybody who joins before this moment is put in a random order at it. Joining earlier is no advantage.",
        "아래 시각 전에 참여하신 모든 분의 순서를 무작위로 추첨합니다. 먼저 참여해도 유리하지 않아요.";
    join_draw_button: "Join the draw", "추첨 참여하기";
    drawn_at: "The order is drawn at", "순서 추첨 시각";

    drawing_title: "You are in the draw", "추첨에 참여하셨습니다";
    drawing_next: "At the draw you get your place, and this page shows it. Until then you may close it: you stay in the draw.",
        "추첨이 끝나면 내 순서가 이 페이지에 표시됩니다. 그때까지는 페이지를 닫으셔도 참여가 유지돼요.";

    waiting_title: "You are in the queue", "대기 중입니다";
    persons: "{n}", "{n}명";
    person_ahead: "person ahead of you", "내 앞 대기 인원";
    people_ahead: "people ahead of you", "내 앞 대기 인원";
    front: "Next", "다음 차례";
    nobody_ahead: "Nobody is ahead of you", "앞에 대기 중인 분이 없어요";
    place: "Your queue number", "대기 번호";
    nth: "{n}", "{n}번";
    eta: "Estimated time", "예상 대기 시간";
    progress: "Your way to the front", "진행 상황";
    waiting_next: "Keep this page open. It goes on by itself when it is your turn, and you then have {ttl}. If you are away, your turn passes to the next person after {within}.",
        "이 페이지를 열어 두세요. 차례가 되면 자동으로 바뀌고, 그때부터 {ttl} 동안 이용하실 수 있어요. 자리를 비우시면 {within} 뒤 다음 분께 차례가 넘어갑니다.";
    leave: "Leave the queue", "대기열 나가기";
    leave_sure: "You give up your place. Joining again starts at the end.", "지금 순서를 포기하게 됩니다. 다시 참여하시면 맨 뒤에서 시작해요.";
    leave_button: "Give up my place", "순서 포기하고 나가기";

    sold_out_title: "Sold out for now", "현재 모두 소진되었습니다";
    sold_out: "Nothing is left at this moment. You keep your place in the queue.",
        "지금은 남은 수량이 없습니다. 대기 순서는 그대로 유지돼요.";
    sold_out_next: "When somebody gives theirs up, the queue goes on, and this page with it. Whether that happens we cannot tell.",
        "취소 수량이 생기면 대기열이 다시 움직이고, 이 페이지도 자동으로 바뀝니다. 취소가 생길지는 미리 알 수 없어요.";

    admitted_title: "It is your turn", "고객님 차례입니다";
    until: "Your turn lasts until", "이용 마감 시각";
    go_on: "Go on to the shop", "쇼핑몰로 이동하기";
    forward: "You are taken there in {n} s.", "{n}초 후 자동으로 이동합니다.";
    stay: "Stay here", "이 페이지에 머무르기";
    admitted_next: "Go on before that time. After it, the next person gets your turn.",
        "위 시간 안에 진행해 주세요. 시간이 지나면 다음 분께 차례가 넘어갑니다.";
    claim_button: "Get mine now", "지금 받기";
    claim_next: "Press the button before that time. You see at once what you got. After it, the next person gets your turn.",
        "위 시간 안에 버튼을 눌러 주세요. 결과는 바로 확인하실 수 있어요. 시간이 지나면 다음 분께 차례가 넘어갑니다.";

    claimed_title: "It is yours", "쿠폰을 받았습니다";
    number: "Number", "번호";
    code: "Coupon code", "쿠폰 코드";
    claimed_next: "This code is your coupon. You find it here again whenever you come back.",
        "사용하실 때 이 코드를 입력해 주세요. 다시 방문하셔도 이 페이지에서 확인할 수 있어요.";

    expired_title: "Your turn is over", "이용 시간이 끝났습니다";
    expired: "The time ran out, or you left. You can join again, at the end of the queue.",
        "시간이 지났거나 대기열에서 나가셨습니다. 다시 참여하시면 맨 뒤에서 시작해요.";
    again_button: "Join again", "다시 참여하기";

    closed_title: "This is over", "종료되었습니다";
    closed: "The offer has ended, and the queue with it. Thank you for coming.",
        "행사가 끝나 대기열도 닫혔습니다. 찾아 주셔서 감사합니다.";

    unknown_title: "There is no such page", "페이지를 찾을 수 없습니다";
    unknown: "Perhaps the address is mistyped, or there is no queue here.",
        "주소가 잘못되었거나 대기열이 없는 행사입니다.";

    away_title: "One moment, please", "잠시만 기다려 주세요";
    away: "We cannot answer right now. What you have, you keep: your place does not get lost. This page tries again by itself.",
        "지금은 응답하기 어렵습니다. 대기 순서는 사라지지 않으며, 이 페이지가 자동으로 다시 시도합니다.";

    refused_title: "That did not work", "처리하지 못했습니다";
    back: "Back to the queue", "대기열로 돌아가기";
    refused_sold_out: "The last one has just gone to somebody else.", "마지막 수량이 방금 소진되었습니다.";
    refused_not_open: "It has not opened yet. Please try again at the opening.", "아직 시작 전입니다. 시작 시각에 다시 시도해 주세요.";
    refused_paused: "It is paused at the moment. Please try again soon.", "잠시 중단된 상태입니다. 잠시 후 다시 시도해 주세요.";
    refused_closed: "It has ended.", "이미 종료되었습니다.";
    refused_limit: "You already have as many as one person may have.", "이미 1인당 받을 수 있는 수량을 모두 받으셨습니다.";
    refused_exhausted: "You have given back and taken again too often.", "취소와 재신청 횟수를 초과했습니다.";
    refused_pass: "Your turn is over. You can join the queue again.", "이용 시간이 끝났습니다. 대기열에 다시 참여하실 수 있어요.";
    refused_full: "The queue takes nobody more.", "더 이상 대기열에 참여하실 수 없습니다.";
    refused_elsewhere: "That submit did not come from this page. Please use its own buttons.", "이 페이지에서 보낸 요청이 아닙니다. 페이지의 버튼을 이용해 주세요.";
    refused_other: "We do not know whether it worked. Go back and look, then try again.", "처리 결과를 확인하지 못했습니다. 돌아가서 확인한 뒤 다시 시도해 주세요.";

    eta_unknown: "not known yet", "아직 알 수 없어요";
    eta_soon: "less than a minute", "1분 이내";
    eta_minute: "about 1 minute", "약 1분";
    eta_minutes: "about {n} minutes", "약 {n}분";
    eta_hours: "about {n} hours", "약 {n}시간";
    eta_long: "more than a day", "하루 이상";

    second: "1 second", "1초";
    seconds: "{n} seconds", "{n}초";
    minute: "1 minute", "1분";
    minutes: "{n} minutes", "{n}분";
    hour: "1 hour", "1시간";
    hours: "{n} hours", "{n}시간";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_the_one_that_weighs_most() {
        let of = |sent: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, sent.parse().unwrap());
            Lang::accepted(&headers)
        };
        assert_eq!(of("ko-KR,ko;q=0.9,en-US;q=0.8"), Lang::Ko);
        assert_eq!(of("en;q=0.4, ko;q=0.7"), Lang::Ko);
        assert_eq!(of("fr, en;q=0.5, ko;q=0.5"), Lang::En);
        assert_eq!(of("ko;q=0, fr"), Lang::En);
        for nonsense in ["", "*", ";;q=,", "ko;q=NaN", "kor"] {
            assert_eq!(of(nonsense), Lang::En, "{nonsense}");
        }
    }

    /// What is put into one language must have its place in the other: no number is lost in translation.
    #[test]
    fn both_languages_have_the_same_gaps() {
        for (name, en, ko) in PAIRS {
            for gap in ["{n}", "{ttl}", "{within}"] {
                assert_eq!(en.contains(gap), ko.contains(gap), "{name}: {gap}");
            }
        }
    }
}
