//! Texts of the sample conversations. Placeholders such as `{order}` are replaced.

/// Topic of a conversation.
pub(super) struct Topic {
    pub(super) name: &'static str,
    pub(super) titles: &'static [&'static str],
    /// First message of the customer.
    pub(super) questions: &'static [&'static str],
    /// First reply of the shop.
    pub(super) answers: &'static [&'static str],
    /// Further messages of the customer.
    pub(super) further: &'static [&'static str],
    /// Further replies of the shop.
    pub(super) details: &'static [&'static str],
}

pub(super) const TOPICS: [&Topic; 7] = [
    &Topic {
        name: "delivery",
        titles: &[
            "Where is order {order}?",
            "Delivery to {city}",
            "Parcel with the {product}",
        ],
        questions: &[
            "Hi, my order {order} was due on {day} and has not arrived yet. Can you check where it is?",
            "The tracking page for {order} has not changed since {day}. Is my parcel lost?",
            "Good morning, when will the {product} be delivered to {city}?",
            "The courier left a card in {city} but there is no pickup point on it. What now?",
        ],
        answers: &[
            "Thanks for writing, {name}. I can see {order} at the depot in {city}; it goes out for delivery on {day}.",
            "Sorry for the wait, {name}. The carrier had a delay in {city} and promises delivery by {day}.",
            "Your parcel with the {product} left our warehouse this morning. You will get a text from the courier.",
        ],
        further: &[
            "Could you ask them to leave it with a neighbour?",
            "That works. Can I still change the delivery address?",
            "It says signature required. Will a family member do?",
            "Is there a way to collect it myself in {city}?",
        ],
        details: &[
            "Of course, I have added a note for the driver.",
            "Any adult at the address can sign for it.",
            "You can collect it at the depot from {day} on; please bring an ID and the number {order}.",
            "I have changed the address; the new delivery day is {day}.",
        ],
    },
    &Topic {
        name: "refund",
        titles: &["Refund for {order}", "Return of the {product}"],
        questions: &[
            "I returned the {product} two weeks ago and still wait for my refund of {amount}.",
            "How do I send the {product} back? It does not fit.",
            "I was charged twice for {order}, {amount} each time. Please refund one of the payments.",
        ],
        answers: &[
            "I have approved the refund of {amount}, {name}. Your bank usually needs three to five working days.",
            "No problem. I just sent a return label to your mail address; drop the parcel at any post office.",
            "You are right, there are two payments for {order}. The second one is refunded today.",
        ],
        further: &[
            "Will it go back to my credit card?",
            "Can I have a voucher instead of the refund?",
            "The label does not open on my phone.",
            "Do I need the original box for the return?",
        ],
        details: &[
            "Yes, refunds always go to the card or account that paid.",
            "A voucher of {amount} is on its way to your inbox.",
            "I have attached the label as a PDF to a new mail. Any sturdy box is fine.",
        ],
    },
    &Topic {
        name: "invoice",
        titles: &["Invoice for {order}", "Question about an invoice"],
        questions: &[
            "Could you send me the invoice for {order}? I need it for my accountant.",
            "The invoice over {amount} has the wrong company name. Can it be corrected?",
            "We have paid {amount} by bank transfer, but the invoice still shows as open.",
        ],
        answers: &[
            "Certainly, {name}. The invoice for {order} is in your account under documents, and I mailed you a copy.",
            "I can correct that. Which name and tax number should the invoice show?",
            "The transfer of {amount} arrived on {day}; the invoice is marked as paid now.",
        ],
        further: &[
            "Great, please use the name of our office in {city}.",
            "Can I get all invoices of this year in one file?",
            "Is VAT included in the {amount}?",
        ],
        details: &[
            "The corrected invoice is in your inbox.",
            "Yes, all our prices include VAT; it is shown in the last line.",
            "I have put together an archive with all invoices; the link is valid until {day}.",
        ],
    },
    &Topic {
        name: "account",
        titles: &["Cannot sign in", "Password reset", "Change of mail address"],
        questions: &[
            "I cannot sign in any more, the password reset mail never arrives.",
            "Please change the mail address of my account, I have a new one.",
            "Somebody tried to sign in to my account from {city}. Was that your system?",
        ],
        answers: &[
            "I have sent a new reset link, {name}. Please check the spam folder as well.",
            "To protect your account I sent a six digit code to your phone. Could you confirm it?",
            "That was not us. I have signed out all devices; please choose a new password.",
        ],
        further: &[
            "Got it, I am in again.",
            "The link says it has expired.",
            "Should I turn on two factor authentication?",
        ],
        details: &[
            "Links are valid for one hour; here comes a fresh one.",
            "Yes, that is the best protection. You find it in your account under security.",
            "Your new mail address is confirmed.",
        ],
    },
    &Topic {
        name: "product",
        titles: &["Question about the {product}", "Is the {product} in stock?"],
        questions: &[
            "Is the {product} available in other colours?",
            "Does the {product} come with a warranty?",
            "When will the {product} be back in stock? I would like to pick it up in {city}.",
            "Which size of the {product} would you recommend?",
        ],
        answers: &[
            "The {product} comes in oak, walnut and white, {name}. All three are in stock.",
            "Every {product} has a warranty of two years, and spare parts for five.",
            "We expect a new delivery on {day}. Shall I reserve one in {city} for you?",
            "Most customers choose the medium size; you can exchange it within thirty days.",
        ],
        further: &[
            "Yes please, reserve one in walnut.",
            "What does it cost with delivery?",
            "Can it be assembled at home?",
        ],
        details: &[
            "Reserved under the number {order} until {day}.",
            "With delivery it is {amount}; from two pieces on delivery is free.",
            "Our partner assembles it for {amount}. It takes about an hour.",
        ],
    },
    &Topic {
        name: "appointment",
        titles: &["Appointment in {city}", "Assembly on {day}"],
        questions: &[
            "I would like an appointment in your showroom in {city}, preferably on {day}.",
            "The fitter was supposed to come on {day}, but nobody rang the bell.",
            "Can I move my assembly appointment to {day}?",
        ],
        answers: &[
            "We have time on {day} at ten or at three, {name}. Which suits you better?",
            "I am very sorry. I have booked the next free slot for you on {day}, free of charge.",
            "Done: your appointment is on {day} now. You will get a reminder the evening before.",
        ],
        further: &[
            "Three is perfect.",
            "Could it be a little later?",
            "Is there parking at the showroom?",
        ],
        details: &[
            "Booked. Just ask for us at the counter in {city}.",
            "There is free parking behind the building.",
            "The latest slot on {day} is half past five. I have put you down for that.",
        ],
    },
    &Topic {
        name: "complaint",
        titles: &["The {product} is damaged", "Order {order} is incomplete"],
        questions: &[
            "The {product} arrived with a deep scratch. I would like a replacement.",
            "Two screws are missing from the {product}. Can you send them?",
            "Order {order} is incomplete, the lamp is missing from the box.",
        ],
        answers: &[
            "That should not happen, {name}. A replacement for the {product} leaves our warehouse on {day}.",
            "I am sorry about that. The missing parts are on their way by express mail.",
            "Could you send a photo of the damage? Then I can decide at once.",
        ],
        further: &[
            "I have sent the photos by mail.",
            "Do I have to send the damaged one back?",
            "Would a discount be possible instead? Then I keep it.",
        ],
        details: &[
            "Thank you, the photos are clear. We collect the damaged {product} on {day}.",
            "You can keep it; I refund {amount} for the trouble.",
            "No need to send anything back this time.",
        ],
    },
];

pub(super) const THANKS: [&str; 6] = [
    "Thank you so much!",
    "Perfect, thanks for the quick help.",
    "Thanks, that is all.",
    "Great service, have a nice day.",
    "Wonderful, thank you {agent}.",
    "OK, thanks.",
];

pub(super) const CLOSINGS: [&str; 5] = [
    "You are welcome, {name}. Have a lovely day!",
    "Glad to help. Write any time.",
    "Anything else I can do for you?",
    "Thank you for your patience, {name}.",
    "Enjoy your {product}!",
];

pub(super) const FIRST_NAMES: [&str; 24] = [
    "Ana", "Ben", "Carla", "David", "Elena", "Felix", "Grace", "Hugo", "Ines", "Jonas", "Kira",
    "Liam", "Mara", "Noah", "Olivia", "Paul", "Rosa", "Samuel", "Tara", "Umar", "Vera", "Will",
    "Yara", "Zoe",
];

pub(super) const LAST_NAMES: [&str; 20] = [
    "Adams", "Becker", "Costa", "Dubois", "Evans", "Fischer", "Garcia", "Hansen", "Ivanov",
    "Jensen", "Keller", "Lopez", "Moreau", "Novak", "Okafor", "Peters", "Rossi", "Silva", "Tanaka",
    "Weber",
];

pub(super) const AGENTS: [&str; 8] = [
    "amelia", "carlos", "dana", "george", "leila", "marc", "priya", "tom",
];

pub(super) const CITIES: [&str; 12] = [
    "Boston",
    "Bristol",
    "Chicago",
    "Dublin",
    "Glasgow",
    "Hamburg",
    "Lisbon",
    "Lyon",
    "Manchester",
    "Porto",
    "Seattle",
    "Vienna",
];

pub(super) const PRODUCTS: [&str; 12] = [
    "armchair",
    "bookshelf",
    "coffee table",
    "desk lamp",
    "dining table",
    "floor lamp",
    "mirror",
    "office chair",
    "rug",
    "sideboard",
    "sofa",
    "wardrobe",
];

pub(super) const DAYS: [&str; 6] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];
