"""Words around a name, and words that are none: in English, German and French, and a few of Spanish and Italian.

All of it is data for `names.py`. Weights are in the units of its threshold: a cue that settles the question weighs 5.
"""

from __future__ import annotations

import re

from tunewright.data.personal.words import fold_list

TITLES = fold_list(
    "mr mrs ms miss mx dr prof professor sir madam madame mme mlle mlle m. monsieur mademoiselle herr herrn frau "
    "fräulein señor señora señorita sr sra don doña signor signora rev reverend fr father sister brother uncle aunt "
    "lady lord dame captain capt sgt sergeant lt lieutenant major colonel general judge senator president doctor "
    "officer inspector detective dame docteur maître familie famille family"
)
CALENDAR = fold_list(
    "monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thurs fri sat sun january february "
    "march april may june july august september october november december jan feb mar apr jun jul aug sep sept oct "
    "nov dec christmas easter xmas ramadan diwali hanukkah halloween thanksgiving montag dienstag mittwoch donnerstag "
    "freitag samstag sonnabend sonntag januar jänner februar märz mai juni juli oktober dezember weihnachten ostern "
    "silvester lundi mardi mercredi jeudi vendredi samedi dimanche janvier février mars avril juin juillet août "
    "septembre octobre novembre décembre noël pâques"
)
PEOPLES = fold_list(
    "english french german spanish italian dutch swedish norwegian danish finnish polish czech slovak hungarian "
    "romanian turkish greek russian ukrainian chinese japanese korean vietnamese thai hindi arabic hebrew portuguese "
    "brazilian mexican american canadian australian british irish scottish welsh indian african european asian "
    "austrian swiss belgian christian muslim jewish catholic latin nordic korean iranian iraqi egyptian nigerian "
    "deutsche deutscher deutschen deutsches französische französischer französischen englische englischen "
    "österreichische österreichischen schweizer française allemande américaine britannique"
)
# Given names that English writes in lower case just as well.
NAMES_THAT_ARE_WORDS = fold_list(
    "will may mark grace hope rose april june august summer art bill dawn joy faith drew grant "
    "chase guy rich miles max major per an young angel autumn amber ruby pearl crystal jade olive ivy "
    "violet daisy lily iris heather holly ginger misty sunny stormy rusty woody sandy rocky cliff clay stone "
    "reed brook brooke chip dale earl duke prince king royal noble baron bishop deacon hunter archer mason carter "
    "cooper parker tanner turner walker porter taylor skipper sky skye star stella river rain ocean lane heath forest "
    "glen ridge page paige cash buck bud skip trip tab tod ward wade win link lance lane merry gay happy charity "
    "mercy patience prudence constance honor justice melody harmony aria viola lyric chance destiny trinity "
    "genesis journey story legend ace axel blaze blue gray grey jet jewel gem sage basil rosemary saffron penny "
    "dot gale robin wren jordan chad kenya israel india asia america china paris london sydney "
    "austin dallas houston phoenix memphis savannah madison charlotte florence milan vienna victoria virginia georgia "
    "carolina dakota montana cheyenne jackson lincoln washington kent devon chelsea brooklyn bronx troy roman rome "
    "alexa siri mercedes ford dell watson alma an van my see thi long so in to on so no the bay binh don "
    "dong ha mi ly de la el di da le les lo al san server edit deniz bar can ada ece pages flora fauna nova viva vita"
)
# Of these, the ones that are nearly always a person where no sentence begins.
MOSTLY_PEOPLE = fold_list(
    "mark max bill rob will grace hope rose drew faith dawn joy heather holly ruby pearl ivy iris lily violet daisy "
    "robin wade penny taylor"
)
# What people are called for short in English; name lists hold what stands in registers.
SHORT_NAMES = fold_list(
    "matt phil andy ted ron pete ed ned reggie freddie abe sid stu mel jess manny trey marcy cate bobbie cecil jeff "
    "geoff greg doug dave steve chris nate zach zack nick vince vicky vicki becky debbie deb liz lizzie beth betsy "
    "peggy meg maggie kate katie kathy cathy cindy suzie susie patty trish tess tessa terri gabby gabe gus hal herb "
    "izzy jen jenn jenny jerry kurt lou mick mitch monty nell norm ollie percy rosie russ sal shelly stan teddy "
    "theo timmy tommy trudy val wally walt wes willie winnie alf archie bert bernie eddie ernie"
)
FOREIGN_WORDS = fold_list(
    # English without its apostrophes.
    "ive im dont cant wont didnt doesnt isnt wasnt couldnt wouldnt shouldnt havent hasnt whats thats theres heres lets "
    # German: what sentences begin with, and the nouns of letters to a firm.
    "ich du er sie es wir ihr der die das den dem des ein eine einen einem einer eines kein keine mein meine meinen "
    "meinem meiner dein deine sein seine unser unsere ihre ihren ihrem ihrer euer eure dieser diese dieses jeder jede "
    "jedes alle alles viele und oder aber denn sondern doch wenn weil dass ob als wie wo wer was wann warum wieso "
    "woher wohin bitte danke leider gestern heute morgen hallo guten gute guter tag abend nacht mit ohne für gegen bei "
    "nach von vom zu zum zur aus auf an am im in über unter vor hinter neben zwischen seit bis durch um ist sind war "
    "waren wird werden wurde wurden hat haben hatte hatten kann können konnte konnten soll sollte muss müssen darf "
    "nicht nie noch nur schon auch hier dort da dann jetzt immer sehr geehrte geehrter geehrten liebe lieber grüße "
    "grüßen gruß freundlichen freundliche herzliche herzlichen beste besten viele vielen dank entschuldigung "
    "bestellung rechnung lieferung paket kunde kundin kunden kundennummer bestellnummer rechnungsnummer artikel "
    "artikelnummer firma konto vertrag termin problem frage fragen antwort anfrage adresse telefon telefonnummer "
    "nummer name vorname nachname geld betrag euro zahlung rückerstattung rücksendung reklamation garantie versand "
    "support service team kundenservice kundendienst herr frau uhr woche wochen monat monate jahr jahre januar stadt "
    "straße platz weg haus wohnung zimmer büro abteilung chef chefin kollege kollegin mitarbeiter mitarbeiterin "
    "freund freundin mann sohn tochter mutter vater bruder schwester arzt ärztin lehrer lehrerin seite sache dinge "
    "ende anfang mal zeit teil preis produkt gerät bildschirm rechner drucker kabel stück anhang datei dokument post "
    "brief nachricht mail email sprach sprechen "
    # French.
    "je tu il elle on nous vous ils elles le la les un une des du de ce cet cette ces mon ma mes ton ta tes son sa ses "
    "notre nos votre vos leur leurs et ou mais donc or ni car si que qui quoi dont où quand comment pourquoi bonjour "
    "bonsoir salut merci veuillez cher chère chers chères bien à cordialement sincèrement salutations amicalement avec "
    "sans pour par sur sous dans chez entre vers est sont était suis avez avons ont ai pas plus très aussi hier "
    "aujourd'hui demain ici là voici voilà commande facture livraison colis client cliente compte adresse téléphone "
    "numéro nom prénom monsieur madame mademoiselle rue avenue place société service équipe objet bonne journée "
    "soirée semaine mois année depuis après avant pendant selon oui non il y s'il c'est j'ai l'équipe d'accord attente "
    "remboursement retour produit article garantie réponse question problème "
    # Spanish, Italian, Dutch.
    "el los las una unos unas al del y o pero hola buenos buenas días tardes noches gracias estimado estimada señores "
    "saludos atentamente mi mis su sus pedido factura cliente il lo gli uno dei della delle ciao buongiorno buonasera "
    "grazie gentile cordiali saluti ordine fattura het een de ik wij jullie geachte beste hallo bedankt groeten "
    "vriendelijke bestelling factuur klant"
)
# In the text before a sentence, how many of these tell its language.
GERMAN = fold_list(
    "der die das und ist nicht ich wir sie mit für auf ein eine den dem zu haben wurde bei von im sehr am"
)
FRENCH = fold_list("le la les des et est une je vous pour avec pas du au que nous dans sur mon ma votre ce à un")
ENGLISH = fold_list("the and is to of my i you for with was on this that it have a in be are please not your has")

# What firms, places and products are called: a name in front of one is theirs.
THINGS = fold_list(
    "inc ltd llc llp plc corp corporation company co gmbh ag kg sa sas sarl srl spa bv nv ab oy group holding holdings "
    "partners associates solutions systems technologies technology labs software media digital studio studios "
    "industries enterprises consulting services bank insurance university college school academy institute hospital "
    "clinic pharmacy airport station hotel motel inn resort restaurant cafe café bar pub mall store shop market "
    "supermarket street st road rd avenue ave boulevard blvd lane drive square plaza court park garden gardens bridge "
    "tower building center centre stadium arena theatre theater museum library church cathedral temple mosque castle "
    "palace county city town village district province state republic kingdom island islands isle lake river sea "
    "ocean bay beach coast mount mountain mountains valley canyon desert forest falls hill hills heights north south "
    "east west northern southern eastern western airlines airways railways motors foundation trust council committee "
    "association society club league cup festival awards prize show magazine times post journal news press records "
    "pro plus max mini lite ultra air edition series version model phone smartphone tablet laptop watch tv camera "
    "printer router speaker headphones headset earbuds keyboard mouse monitor charger console drone bike scooter "
    "mattress sofa chair lamp desk table kettle blender toaster vacuum fridge oven app apps cloud server suite office "
    "studio drive mail chat pay wallet card prime premium basic standard enterprise business home family plan package "
    "subscription account portal dashboard platform api sdk os browser engine database cluster framework library "
    "plugin extension bot assistant gateway account hub kit set pack box bottle shoes boots jacket coat shirt dress "
    "jeans jersey sneakers backpack bag perfume cream shampoo soap coffee tea wine beer whisky vodka chocolate cheese "
    "pizza burger sauce soup salad cookies cereal shepherd terrier retriever protocol algorithm theorem law effect "
    "syndrome disease test scale index method model act treaty war battle day week month year bowl open tour line "
    "jet boeing sedan truck van wagon hybrid turbo"
)

_KIN = (
    "wife|husband|son|daughter|mother|father|brother|sister|mom|mum|dad|uncle|aunt|cousin|nephew|niece|grandmother|"
    "grandfather|fianc[ée]e?|partner|girlfriend|boyfriend|friend|colleague|coworker|co-worker|boss|manager|supervisor|"
    "assistant|doctor|nurse|dentist|therapist|teacher|lawyer|attorney|roommate|flatmate|neighbou?r|customer|client|"
    "patient|employee|agent|advisor|adviser|representative|rep|technician|engineer|director|ceo|cfo|cto|president|"
    "chairman|chairwoman|passenger|tenant|landlord|landlady|guest|student|candidate|applicant|user|buyer|seller|driver|"
    "courier|plumber|electrician|contractor|consultant|accountant|secretary|receptionist|cashier|intern|kollegen?|"
    "kollegin|chefin?|frau|mann|sohn|tochter|mutter|vater|bruder|schwester|freund(?:in)?|kunden?|kundin|mitarbeiter(?:in)?|"
    "coll[èe]gue|femme|mari|fils|fille|m[èe]re|p[èe]re|fr[èe]re|s[œo]e?ur|amie?|cliente?|patiente?|conseill[èe]re?|"
    "docteur|ma[îi]tre"
)
_HEADERS = (
    "from|to|cc|bcc|name|full name|first name|last name|surname|customer(?: name)?|client(?: name)?|contact(?: person| "
    "name)?|attn|attention|patient|agent|author|caller|signed|signature|employee|recipient|sender|account ?holder|"
    "card ?holder|beneficiary|reported by|requested by|assigned to|assignee|reporter|owner|interviewer|interviewee|"
    "kunde|kundin|ansprechpartner(?:in)?|absender|empf[äa]nger|von|an|vorname|nachname|nom|pr[ée]nom|exp[ée]diteur|"
    "destinataire|de|à|nombre|nome|naam"
)
_GREETINGS = (
    "dear|hi|hiya|hello|hey|hi there|hello there|good (?:morning|afternoon|evening|day)|morning|greetings|welcome|"
    "thanks|thank you|many thanks|thanks again|thx|cheers|(?:kind |best |warm |kindest |warmest )?regards|best|"
    "best wishes|all the best|sincerely|sincerely yours|yours|yours (?:sincerely|truly|faithfully)|respectfully|love|"
    "xoxo|take care|cordially|congratulations|congrats|sorry|goodbye|bye|"
    "(?:sehr )?geehrter?|liebe[rs]?|hallo|guten (?:tag|morgen|abend)|moin|servus|gr[üu](?:ß|ss) gott|"
    "mit (?:freundlichen|besten|lieben|herzlichen) gr[üu](?:ß|ss)en|mfg|lg|vg|"
    "(?:viele|beste|liebe|herzliche|sch[öo]ne) gr[üu](?:ß|ss)e|gru(?:ß|ss)|(?:vielen|herzlichen|besten) dank|danke|"
    "ihre?|eure?|dein|deine|hochachtungsvoll|"
    "bonjour|bonsoir|salut|cher|ch[èe]re|coucou|all[ôo]|cordialement|bien (?:cordialement|à vous)|cdt|"
    "sinc[èe]res salutations|salutations distingu[ée]es|amicalement|amiti[ée]s|merci(?: beaucoup| d['’]avance)?|bises|"
    "hola|estimad[oa]|querid[oa]|un saludo|saludos(?: cordiales)?|atentamente|gracias|ciao|gentile|car[oa]|"
    "cordiali saluti|distinti saluti|grazie|geachte|beste|met vriendelijke groet(?:en)?|groet(?:en|jes)?"
)
_INTRODUCTIONS = (
    "(?:my|his|her|their|the|whose|your)(?: \\w+['’]s)?(?: full| first| last| maiden| legal| real)? "
    "name(?:['’]s| is| was)|"
    "name(?:['’]s| is)|names are|by the name of|goes by|"
    "i go by|call me|mein name (?:ist|lautet)|ich hei(?:ß|ss)e|namens|hei(?:ß|ss)t|"
    "hier (?:ist|spricht|schreibt)|je m['’]appelle|s['’]appelle|mon nom est|je me nomme|nomm[ée]e?|"
    "me llamo|mi nombre es|se llama|mi chiamo|il mio nome [èe]|ik heet|mijn naam is"
)

# What stands right before a name, and how much it speaks for one; the first that fits counts.
BEFORE: tuple[tuple[float, re.Pattern[str]], ...] = tuple(
    (weight, re.compile(pattern, re.IGNORECASE))
    for weight, pattern in (
        (5.0, rf"(?:^|\W)(?:{_INTRODUCTIONS})[\s:,]*[\"“']?$"),
        (5.0, rf"(?:^|[\n|;,(\[{{\"]\s*)[\"']?(?:{_HEADERS})[\"']?\s*[:=]\s*[\"“']?$"),
        (3.5, rf"(?:^|[\n.!?,;:\"“(>–—-]\s*|\W(?:and|und|et|y) )(?:{_GREETINGS})[\s,.!:–—~-]*$"),
        (3.0, r"(?:^|\W)(?:i am|i['’]m|ich bin|je suis|soy|sono)(?: called| named| ms| mr)?\s+$"),
        (2.7, r"(?:^|[\n.!?,;\"“-]\s*)(?:this is|it['’]s|it is|c['’]est|ici|das ist|hier)\s+$"),
        (2.7, rf"(?:^|\W)(?:{_KIN})(?: is|,| named| called|:)?\s+$"),
        (
            2.7,
            r"(?:^|\W)(?:spoke[n]?|speak|speaking|talk(?:s|ed|ing)?|chat(?:s|ted|ting)?|met|meet|meeting|meetings|call|"
            r"appointment|interview|lunch|dinner|conversation|deal|dealt|dealing|corresponded|lives?|living|married|"
            r"agreed|discussed(?: \w+){0,3}|checked|worked|working|works)(?: again| today| yesterday| earlier)?"
            r" (?:with|to)\s+$",
        ),
        (
            2.7,
            r"(?:^|\W)(?:meet|met|told|ask(?:s|ed|ing)?|contact(?:ed|ing)?|call(?:ing)?|e-?mail(?:ed|ing)?|"
            r"text(?:ed|ing)?|phoned?|ping(?:ed)?|remind(?:ed)?|invited?|thank(?:ed)?|cc|notif(?:y|ied)|inform(?:ed)?|"
            r"tell|forward(?:ed)? (?:it |this )?to|escalated? (?:it |this )?to|transferred (?:me )?to|"
            r"reach(?:ed)? out to|belongs to|assigned to|addressed to|registered to|wrote to|according to|on behalf of|"
            r"attention of|signed off|promised|c/o|hired|fired|promoted|visited|"
            r"(?:handled|signed|written|sent|sold|approved|reported|requested|submitted|placed|made|booked|opened|filed|"
            r"reviewed|taken|signed for|answered|picked up|collected|prepared|helped|treated|seen|examined|taught|"
            r"recommended|contacted|called|told|assisted|served|advised|promised|ordered|owned|left) by|"
            r"(?:in the|under the|under) name(?: of)?|says|said|asks|replied|wrote|added|explained|"
            r"mit|durch|von|bei|an|fragte|traf|sprach|angerufen|par|chez|avec|demandé à|parlé (?:à|avec))\s+$",
        ),
        (1.5, r"(?:^|\W)(?:named|called|known as|signed|thanks to|ask for|looking for|waiting for|and|for|herrn?)\s+$"),
        (1.2, r"(?:^|\W)(?:can|could|did|does|will|would|should|must|let)\s+$"),
        (
            1.0,
            r"(?:^|\W)(?:with|by|to|from|tell|let|when|because|that|if|while|since|whether|but|so|über|für|pour)\s+$",
        ),
    )
)
# What speaks against one.
AGAINST: tuple[tuple[float, re.Pattern[str]], ...] = tuple(
    (weight, re.compile(pattern, re.IGNORECASE))
    for weight, pattern in (
        (-4.0, r"(?:^|\W)(?:year['’]s|the|a|an|this|that|these|those|our|your|its|every|each|any|some|new|old|genuine|"
               r"original|das|dieses?|ein|le|la|les|l['’]|un|une|des|du|au|aux|cette|ce)\s*$"),
        (-3.0, r"(?:^|\W)(?:in|near|around|outside|inside|towards?|via|through|across|throughout|at|into|"
               r"(?:flight|flights|train|trip|travel(?:l?ed|l?ing)?|moved|moving|flew|fly|flying|drive|drove|ship|"
               r"shipped|shipping|delivered|deliver|delivery|return(?:ed)?|sent|relocat\w+|based|born|branch|office|"
               r"store|warehouse|visit|visited|leaving|left|arriv\w+|way|bus|ticket|ferry|straight|back|directly|"
               r"express|imported|import|departing)(?: (?!name)\w+)? (?:to|from|in|for)|"
               r"nach|aus|à|en|vers|über)\s+$"),
        (-2.5, r"(?:^|\W)(?:install(?:ed|ing)?|using|use|used|uses|bought|buy|buying|ordered|order|purchased?|brand|"
               r"model|product|version|company|firm|app|software|running|runs|run|open(?:ed)?|downloaded?|download|"
               r"upgrad\w+|updat\w+|switch(?:ed|ing)? (?:to|from)|migrat\w+ (?:to|from)|subscri\w+ to|connect\w* to|"
               r"log(?:ged)? in(?:to)?|sync\w* (?:to|with)|integrat\w+ with|compatible with|support(?:s|ed)?|"
               r"deploy(?:ed)?(?: on| to)?|on|called the|my|wear(?:ing)?|made by|firma|marke|la société|"
               r"our|size|colou?r|type|about the)\s+$"),
    )
)  # fmt: skip

_PERSON_VERBS = (
    "said|says|called|calls|wrote|writes|told|tells|asked|asks|explained|replied|emailed|e-mailed|phoned|texted|"
    "complained|confirmed|reported|requested|promised|mentioned|answered|thinks|thought|wants|wanted|lives|lived|works|"
    "worked|signed|bought|forgot|lost|moved|joined|paid|ordered|died|believes|knows|knew|agreed|suggested|noticed|"
    "decided|tried|complains|visited|loves|hates|likes|prefers|resigned|retired|graduated|spoke|speaks|apologi[sz]ed|"
    "insisted|claims|claimed|admitted|denied|helped|showed|gave|took|went|came|met|introduced|contacted|recommended|"
    "thanked|waited|picked up|hung up|was born|has not replied|hasn['’]t replied|got back|followed up|submitted|booked|"
    "cancell?ed|subscribed|returned|received|sold|ate|ran|drove|walked|earned|earns|makes|made|baked|read|reads|"
    "sagte|schrieb|fragte|meinte|rief|wohnt|arbeitet|hat (?:mir|uns|mich|angerufen|gesagt|geschrieben|bestellt)|"
    "antwortete|bestellte|möchte|wollte|a (?:dit|écrit|appelé|demandé|commandé|confirmé|répondu|signé|payé|acheté)|"
    "m['’]a|nous a|habite|travaille|souhaite|voudrait|dijo|escribió|llamó|ha detto|ha scritto"
)
# What stands right behind a name, and how much it speaks for one (or against); the first that fits counts.
AFTER: tuple[tuple[float, re.Pattern[str]], ...] = tuple(
    (weight, re.compile(pattern, re.IGNORECASE))
    for weight, pattern in (
        (3.5, r"\s*[<(]\s*(?:\[EMAIL\]|email-|[^\s>)]*@)"),
        (3.0, r",?\s+(?:MD|M\.D\.|Ph\.?D\.?|Esq\.?|Jr\.?|Sr\.?|MBA|RN|DDS|III|II)(?!\w)"),
        (-6.0, r"\s*[®™]"),
        (2.7, rf"\s+(?:(?:has|had|have|also|never|just|already|still|then|finally|again|recently|later)\s+)?"
              rf"(?:{_PERSON_VERBS})(?!\w)"),
        (-3.0, r"['’]s?\s+(?:laws?|theorem|equations?|principle|rule|algorithm|disease|syndrome|test|eve)(?!\w)"),
        (2.5, r"['’]s?\s+(?:account|order|orders|phone|address|e-?mail|number|car|house|wife|husband|mother|father|son|"
              r"daughter|brother|sister|birthday|name|password|card|application|appointment|complaint|request|request|"
              r"refund|payment|salary|contract|ticket|profile|reply|message|letter|family|friend|team|manager|"
              r"signature|parcel|package|subscription|invoice|case|file|record|records|desk|office|room|flat|help|"
              r"advice|opinion|idea|mistake|laptop|report|presentation|booking|reservation|claim|policy)(?!\w)"),
        (2.0, r",?\s+(?:who|whose|aged|born|our|my|his|her|ceo|cto|cfo|head of|"
              r"(?:the |a |an )?(?:senior |junior |chief )?"
              r"(?:manager|director|engineer|agent|technician|nurse|doctor|teacher|customer|client|patient|owner|"
              r"assistant|lawyer|founder|officer|consultant|accountant|analyst|developer|designer))(?!\w)"),
        (1.5, r"\s+(?:come|say|know|call|reply|sign|tell|ask|write|attend|speak|meet|visit|agree|bring|stay)(?!\w)"),
        (1.5, r"['’]s?(?!\w)|\s*\(\d{2}\)|,\s*\d{2}(?!\d)|\s+and\s+(?:I|me|his|her)(?!\w)"),
        (1.0, r"\s+(?:has|had|is|was|will|would|can|could|does|did|needs|never|also|still|just|sent|hat|ist|war|wird|"
              r"a|est|était|isn['’]t|wasn['’]t|hasn['’]t)(?!\w)"),
        (-2.0, r"\s*[-–]?v?\d"),
    )
)  # fmt: skip
# One of these stands in every introduction.
INTRODUCING = ("name", "call me", "goes by", "i go by", "hei", "nom", "appelle", "llam", "chiamo", "heet", "naam")
_WORDS = r"(?P<value>[^\W\d_]+(?:['’-][^\W\d_]+)*(?: [^\W\d_]+(?:['’-][^\W\d_]+)*){0,3})"
# A name in lower case is taken only right behind one of these, …
INTRODUCED = re.compile(rf"(?<!\w)(?:{_INTRODUCTIONS})[\s:]+{_WORDS}", re.IGNORECASE)
# … or, if it is one that is known, behind one of these.
ADDRESSING = ("i am", "i'm", "i’m", "im ", "this is", "thank", "regards", "cheers", "hi ", "hello", "dear", "hey")
ADDRESSED = re.compile(
    r"(?<!\w)(?:i am|i['’]?m|this is|thanks|thank you|regards|cheers|hi|hello|dear|hey)[,\s]+" + _WORDS, re.IGNORECASE
)
PARTICLES = (
    r"(?:van|von|vom|zu|de|da|dos|das|do|del|della|di|du|la|le|den|der|ten|ter|bin|binti|ibn|al|el|af|av|y|['’]t)"
)
