"""Rows that the rules for names were developed on: names that stand in no list, and what only looks like one.

Apart from those of bench/redaction.py, which nothing was fitted to.
"""

# ruff: noqa: SIM905 (long lists of words read better as a text)
from __future__ import annotations

GIVEN = (
    "Abimbola Tochukwa Kwabenah Adwoah Zandile Lwazie Mehrnoush Sohrabi Parisae Ghassane Hudayfah Rabiyah Nurlanbek "
    "Gulnarae Dilnozah Sukhbaatar Qiuyan Ruoxi Haoyun Shinichiro Tsubasae Daejung Eunkyoung Vachiravit Nattapon Ketutu "
    "Siobhanna Aoiferin Padraigh Morwenna Tegwen Isambarde Quillon Bertilde Gudrunne Wolframius Ansgard Fridolina "
    "Maialenne Xurxo Anaximandra Evangelosz Despinae Radoslavko Miroslavna Kazimierza Bronisławka Dobromiła Vytenisa "
    "Ilmarina Sannareta Tuulikkina Solveigh Ragnfrid Þorleifur Tomasina Guillemette Apollinairea Isaurette Odalysse"
).split()
FAMILY = (
    "Adegokewa Nwachukwuma Owusuansah Boatengwa Dlaminizi Khumaloe Mwangiru Otienoh Tadessework Farahmandi Rostamkhani "
    "Al-Zahraniyeh Ibragimovich Sultanbekov Dorjpalam Xiangyue Linghuang Fujimotora Hasegawane Matsudairo Parksung "
    "Choekwang Wongsakorn Suthirat Prasetyono O'Loughlaine MacGillvraye McAllisterre Pritcharde-Owain Trefusisson "
    "Carruthersby Blackthornley Wetherspoone Ollerenshawe Muirheade Dreyfussler Kleinschmidtke Oberhausner "
    "Wintersteiger Brandstetterin Zubillagar Mendizaballe Yupanquin Huarachi Papadimitropou Kyriakidisz Stoyanovski "
    "Dimitrovskij Nowakowiczka Zalewskich Jankauskaitė Ozoliņšs Virtaniemi Rautakoskinen Bjarnhéðins Halvorsrud "
    "Dubreuille Fontanelleau Marchetieri Guadagninie"
).split()
ABOUT_PEOPLE = (
    "Hi, I'm {full} and I never received the voucher that was promised to me in spring.",
    "{full} here, my parcel was left in the rain and the books inside are ruined.",
    "Good morning {given}, did you manage to look at the report that I sent you on Friday?",
    "Please ask {full} from accounting whether the transfer has gone out already.",
    "I was talking to {given} about this, and she says the filter must be cleaned twice a year.",
    "The order placed by {full} has been cancelled because the payment was not completed in time.",
    "Name: {full}\nReason: the zip is stuck\nWish: exchange for the same jacket in another colour",
    "{full} said the driver refused to carry the washing machine up to the third floor.",
    "Sincerely,\n{full}",
    "I forwarded your request to {full}, who is responsible for returns in our team.",
    "The customer, {full}, wants to know when the technician will come to her house.",
    "Mr. {family} never answered, although we wrote to him four times since the beginning of March.",
    "Prof. {family} gave a lecture on tides, and the students liked it more than expected.",
    "My son {given} broke the screen when he dropped the tablet on the kitchen floor.",
    "Last week {full} and {other} complained about the noise from the building site next door.",
    "{given}'s order was delivered to the wrong house and the neighbours have no idea where it is.",
    "This was approved by {full} before the price went up, so I expect the old one to apply.",
    "Is {full} still in charge of the newsletter, or has somebody else taken over by now?",
    "I would like to thank {full} for the patience, the friendly tone and the quick solution.",
    "The witness {full} remembers a white van in front of the shop at around nine o'clock.",
    "Attn: {full}\nPlease find the signed copy enclosed, the original follows by post.",
    "Finally {full} picked up the bike, but the brakes still squeak when it rains.",
    "She is married to {full} and they have lived in the same flat since they moved here.",
    "Later {given} told us that the booking had been made for the wrong weekend.",
    "{initial}. {family} wrote the manual, and the second edition was reviewed by an expert.",
    "The prize went to {full} for a novel about two sisters who run a bakery.",
    "Invite {full} to the call on Thursday, we need an opinion on the new layout.",
    "Sehr geehrte Frau {family}, wir danken Ihnen für die schnelle Antwort und melden uns bald.",
    "Hallo {given}, hast du die Unterlagen schon an die Versicherung geschickt?",
    "Ich heiße {full} und habe eine Frage zu meinem Vertrag, der im Mai endet.",
    "Der Kollege {full} hat mir am Telefon gesagt, dass die Lieferung heute kommt.",
    "Vielen Dank und viele Grüße\n{full}",
    "Bonjour {given}, pourriez-vous me dire quand la machine sera réparée ?",
    "Mon nom est {full} et je souhaite résilier mon abonnement à la fin du mois.",
    "J'ai parlé avec {full} hier matin, et elle m'a promis une réponse avant midi.",
    "Monsieur {family} attend toujours la livraison de la table qu'il a commandée en juin.",
)
NEGATIVES = (
    "The Dyson vacuum cleaner lost suction after the Vorwerk bag was fitted, and Miele says it is not their fault.",
    "Jenkins and Ansible run on Fedora, while Prometheus sends its alerts to Slack and PagerDuty every Tuesday.",
    "We drove from Ljubljana to Zagreb on Sunday and stayed in Dubrovnik until the end of October.",
    "Our Basic Package does not contain the Travel Insurance, but the Gold Card does, and so does the Family Plan.",
    "DO NOT CLICK ON LINKS IN EMAILS FROM UNKNOWN SENDERS AND NEVER SEND YOUR PIN OR PASSWORD TO ANYONE.",
    "How To Choose The Right Mattress For Your Bedroom And What It Should Cost In The Spring Sale",
    "Harvard University and the University of Manchester published the study in the Journal of Marine Biology.",
    "Does the Xiaomi Redmi work with the Huawei Watch, or do I need an Android phone made by Motorola?",
    "Queen Elizabeth Hall is next to the National Theatre, opposite Waterloo Station and the River Thames.",
    "Where is my order? Why was it cancelled? Nobody answers. Everyone is on holiday. Nothing happens.",
    "On New Year's Eve and on Good Friday the shop is closed. On Labour Day it is open until noon.",
    "IBM, SAP and NASA use FORTRAN; the API returns JSON or XML, and the SDK supports iOS and macOS.",
    "The Swedish and the Danish team met in Gothenburg, the final will be played in Warsaw in November.",
    "Netflix, Hulu and Disney Plus show the series, Amazon Prime only the first season, and YouTube nothing.",
    "A Tesla Model Y, a Renault Clio and a Skoda Octavia stand in the yard; the Opel Corsa is in repair.",
    "Guten Tag, leider ist die Kaffeemaschine nach zwei Wochen kaputt, und die Garantie gilt nur in Österreich.",
    "Am Freitag kam das Paket aus München an, aber der Karton war offen und das Ladegerät fehlte.",
    "La commande de lundi est arrivée à Marseille, mais la facture et la garantie manquaient dans le colis.",
    "Sales rose by 12 percent in the North East, fell in the Midlands, and were flat in Northern Ireland.",
    "Hope this helps. Grace period ends in May. Will anyone confirm? Rose petals and Olive oil are sold out.",
    "The Great Wall, Machu Picchu and the Taj Mahal are on the list, and Angkor Wat comes next year.",
    "I bought a pair of Levi's at Macy's and returned them at Nordstrom because of a broken button.",
    "Chapter Three explains Newton's laws, Chapter Four deals with Fourier series and Bayes' theorem.",
    "Visit the Help Center, open Account Settings, choose Privacy, and then press Delete Account.",
)
