"""The words that made-up people and jobs are made of: places, names, trades and what people say."""

from typing import NamedTuple


class City(NamedTuple):
    """A town with its region and centre, in degrees."""

    name: str
    region: str
    longitude: float
    latitude: float


#: The largest come first, since most people live there.
CITIES = (
    City("Accra", "Greater Accra", -0.1870, 5.6037),
    City("Kumasi", "Ashanti", -1.6244, 6.6885),
    City("Tema", "Greater Accra", -0.0166, 5.6698),
    City("Tamale", "Northern", -0.8393, 9.4008),
    City("Takoradi", "Western", -1.7603, 4.8845),
    City("Cape Coast", "Central", -1.2466, 5.1053),
    City("Madina", "Greater Accra", -0.1661, 5.6682),
    City("Obuasi", "Ashanti", -1.6597, 6.2027),
    City("Koforidua", "Eastern", -0.2591, 6.0941),
    City("Ho", "Volta", 0.4713, 6.6008),
    City("Sunyani", "Bono", -2.3266, 7.3399),
    City("Techiman", "Bono East", -1.9391, 7.5830),
    City("Wa", "Upper West", -2.5019, 10.0601),
    City("Bolgatanga", "Upper East", -0.8514, 10.7856),
    City("Nkawkaw", "Eastern", -0.7667, 6.5500),
    City("Kasoa", "Central", -0.4244, 5.5345),
    City("Goaso", "Ahafo", -2.5167, 6.8036),
    City("Dambai", "Oti", 0.1779, 8.0662),
    City("Nalerigu", "North East", -0.3698, 10.5273),
    City("Damongo", "Savannah", -1.8182, 9.0831),
    City("Sefwi Wiawso", "Western North", -2.4852, 6.2058),
)

WOMEN = (
    *("Ama", "Abena", "Akua", "Yaa", "Afia", "Adwoa", "Esi", "Efua", "Akosua", "Araba", "Dela", "Enyonam", "Mawusi"),
    *("Sena", "Naa", "Korkor", "Dede", "Fati", "Mariama", "Memuna", "Rahinatu", "Zainab", "Grace", "Mercy", "Joyce"),
)
MEN = (
    *("Kofi", "Kwame", "Kwaku", "Yaw", "Kojo", "Kwabena", "Kwasi", "Kwesi", "Ebo", "Fiifi", "Edem", "Selorm", "Elikem"),
    *("Nii", "Tetteh", "Nuerki", "Alhassan", "Ibrahim", "Mohammed", "Yakubu", "Issah", "Emmanuel", "Samuel", "Daniel"),
)
SURNAMES = (
    *("Mensah", "Owusu", "Boateng", "Asante", "Osei", "Appiah", "Agyeman", "Antwi", "Amoah", "Frimpong", "Ofori"),
    *("Darko", "Asare", "Quaye", "Lamptey", "Addo", "Tagoe", "Nartey", "Agbeko", "Amegah", "Dogbe", "Kpodo", "Arthur"),
    *(
        "Quansah",
        "Essien",
        "Aidoo",
        "Abdulai",
        "Iddrisu",
        "Mahama",
        "Fuseini",
        "Salifu",
        "Abukari",
        "Atinga",
        "Ayariga",
    ),
)
STREETS = ("Ring Road", "High Street", "Market Road", "Mission Street", "Station Road", "Palm Avenue", "Chapel Hill")
COMPANIES = ("Estates", "Properties", "Guest House", "Preparatory School", "Clinic", "Restaurant", "Farms", "Stores")
LANGUAGES = ("en", "tw", "ee", "ha", "fr")


class Work(NamedTuple):
    """What is asked of a trade: the trade's id, titles of jobs, and their prices in cedis (least, most)."""

    trade: str
    titles: tuple[str, ...]
    prices: tuple[int, int]


WORK = (
    Work("electrician", ("Rewire a three-room house", "Fix sockets that spark", "Wire a new shop"), (250, 4_000)),
    Work("plumber", ("Fix a leaking kitchen sink", "Fit a bathroom", "Replace burst pipes"), (150, 3_500)),
    Work("carpenter", ("Make kitchen cabinets", "Hang six doors", "Build a market stall"), (300, 6_000)),
    Work("mason", ("Build a boundary wall", "Lay blocks for a store room", "Repair a cracked wall"), (500, 15_000)),
    Work("painter", ("Paint a four-room house", "Paint a school block", "Repaint a shop front"), (250, 5_000)),
    Work("tiler", ("Tile a bathroom", "Tile a veranda", "Replace broken floor tiles"), (300, 4_500)),
    Work("welder", ("Make a metal gate", "Make burglar bars", "Repair a water tank stand"), (250, 5_500)),
    Work("roofer", ("Replace a rusted roof", "Stop a leaking roof", "Roof a new kitchen"), (600, 18_000)),
    Work("solar-installer", ("Install solar lights", "Put up a 2 kW solar system"), (1_200, 25_000)),
    Work("air-conditioning-technician", ("Service three air conditioners", "Install a split unit"), (200, 2_500)),
    Work("tailor", ("Sew school uniforms", "Sew kente for a wedding", "Alter six dresses"), (100, 3_000)),
    Work("caterer", ("Cook for a funeral of 150", "Cater for an outdooring", "Waakye for a workshop"), (800, 12_000)),
    Work("car-mechanic", ("Repair a taxi's gearbox", "Service a trotro", "Find an oil leak"), (200, 6_000)),
    Work("cleaner", ("Clean a house after building", "Clean an office each week"), (100, 1_500)),
    Work("gardener", ("Make a lawn", "Trim hedges and trees", "Plant a kitchen garden"), (120, 2_000)),
    Work("borehole-driller", ("Drill a borehole for a compound",), (9_000, 40_000)),
)
PARTS = ("Materials and start", "Main work", "Finish and tidy up")
DETAILS = (
    "Materials are on site.",
    "Please bring your own tools.",
    "The compound is open from seven in the morning.",
    "We would like it done before the rains.",
    "Photos of the work so far can be sent.",
    "There is a caretaker who will let you in.",
)
LETTERS = (
    "I have done this many times and can show you photos. I can start on Monday.",
    "I live close by and bring my own tools. I will clear up when I am done.",
    "My apprentice and I can finish this in three days. The price covers everything but materials.",
    "I would like to look at the place first. My price is fair and I keep my word.",
)
CHATS = (
    ("Good morning. When can you come to look?", "Good morning. Tomorrow at eight, if that suits you."),
    ("Is the price with materials?", "It is for the work alone. I can give you a list of what to buy."),
    ("Please call the caretaker when you are at the gate.", "I will. Thank you."),
    ("How many days will it take?", "Three days, if the rain stays away."),
    ("Can you send me a photo when the first part is done?", "Yes, I will send it in the evening."),
    ("Medaase. We are waiting for you.", "I am on my way. Traffic at Circle is heavy."),
)
NOTES = ("Done and tested.", "Finished. Please have a look.", "All done, the place is clean again.")
CHANGES = ("One corner is not level yet.", "The colour is not the one we agreed on.", "Please fix the last joint, too.")
ANSWERS = ("The materials came late; the rest is done by Friday.",)
DISPUTES = ("The work was left half done.", "The materials are not those that were agreed.")
RULINGS = ("Half of the work was done; the amount is shared accordingly.", "Both sides sent photos; shared as shown.")
REFUNDS = "I cannot take this on after all, so I return the money. I am sorry."
OF_WORKER = {
    5: ("Tidy, on time and friendly.", "The best work we have had on this house.", "Fast and honest. Will call again."),
    4: ("Good work, a day late.", "Solid work, and he explained everything.", "Well done. Could tidy up a bit better."),
    3: ("The work is fine, but it took long.", "Came late twice; the result is all right."),
    2: ("We had to ask for the same thing three times.",),
}
OF_HIRER = {
    5: ("Clear about what was wanted, and paid at once.", "Kind people. Water and lunch every day."),
    4: ("Fair, and the place was ready.", "Good to work for. Answered all questions."),
    3: ("The materials came late.",),
}
