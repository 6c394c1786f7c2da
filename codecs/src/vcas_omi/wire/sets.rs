//! The closed sets of words of OMI 3.6 \[S:FIM\].

use super::value::words;

words! {
    /// What kind of device it is. SC: a smartcard; NSC: a box without one \[I:CLI\].
    DeviceType {
        Legacy = "LEGACY",
        StbIptv = "STB_IPTV",
        DesktopPc = "DESKTOP_PC",
        DesktopMac = "DESKTOP_MAC",
        Rsm = "RSM",
        Rke = "RKE",
        ProfReceiver = "PROF_RECEIVER",
        StbHybrid = "STB_HYBRID",
        StbDvbSc = "STB_DVB_SC",
        StbDvbNsc1 = "STB_DVB_NSC1",
        StbDvbNsc2 = "STB_DVB_NSC2",
        StbDvbStb = "STB_DVB_STB",
        WebPc = "WEB_PC",
        WebMac = "WEB_MAC",
        WebIphone = "WEB_IPHONE",
        WebAndroid = "WEB_ANDROID",
        WebStb = "WEB_STB",
        PlayreadyPc = "PLAYREADY_PC",
        PlayreadyMac = "PLAYREADY_MAC",
        PlayreadyIphone = "PLAYREADY_IPHONE",
        PlayreadyAndroid = "PLAYREADY_ANDROID",
        PlayreadyStb = "PLAYREADY_STB",
    }
}

words! {
    /// What kind of network it is.
    NetworkType { Iptv = "IPTV", Ott = "OTT", Dvb = "DVB", Playready = "PLAYREADY", }
}

words! {
    /// Who holds an entitlement.
    EntitledType { Device = "DEVICE", Domain = "DOMAIN", Retailer = "RETAILER", }
}

words! {
    /// Who sees a message. GLOBAL: everybody \[I\].
    AudienceType { Device = "DEVICE", Domain = "DOMAIN", Global = "GLOBAL", }
}

words! {
    /// What kind of content it is on a network.
    ContentType { Dtv = "DTV", Vod = "VOD", }
}

words! {
    /// What kind of value a parameter has. BASE64 is new in 3.6.
    ValueType {
        String = "STRING",
        DateTime = "DATETIME",
        Number = "NUMBER",
        Float = "FLOAT",
        Boolean = "BOOLEAN",
        Duration = "DURATION",
        Base64 = "BASE64",
    }
}

words! {
    /// What kind of site it is.
    SiteType { Retailer = "RETAILER", Wholesaler = "WHOLESALER", }
}

words! {
    /// The meaning is not known \[S:FIM names only\].
    ContentMode { Pos = "POS", Neg = "NEG", }
}

words! {
    /// How a message goes. FX: the viewer can not take it away; RM: the viewer can.
    DisplayMode {
        FxNextStb = "FX_NEXTSTB",
        FxNextCa = "FX_NEXTCA",
        FxStillCa = "FX_STILLCA",
        FxImmed = "FX_IMMED",
        RmNextStb = "RM_NEXTSTB",
        RmNextCa = "RM_NEXTCA",
        RmStillCa = "RM_STILLCA",
        RmImmed = "RM_IMMED",
    }
}

words! {
    /// From which side of the screen a horizontal position counts \[S:C1\].
    XOrigin { Left = "ORIGL", Right = "ORIGR", }
}

words! {
    /// From which side of the screen a vertical position counts \[S:C1\].
    YOrigin { Top = "ORIGTOP", Down = "ORIGDWN", }
}

words! {
    /// How a message is anchored horizontally \[S:C1\].
    XAnchor { Center = "CENTER", AutoLeftRight = "AUTOLR", }
}

words! {
    /// How a message is anchored vertically \[S:C1\].
    YAnchor { Center = "CENTER", AutoTopDown = "AUTOTD", }
}

words! {
    /// How the text is aligned.
    TextAlign { Left = "LEFT", Right = "RIGHT", Center = "CENTER", Justified = "JUST", }
}

words! {
    /// Where on the screen a preloaded message stands.
    Quadrant {
        Center = "CENTER",
        North = "NORTH",
        NorthEast = "NORTH_EAST",
        East = "EAST",
        SouthEast = "SOUTH_EAST",
        South = "SOUTH",
        SouthWest = "SOUTH_WEST",
        West = "WEST",
        NorthWest = "NORTH_WEST",
    }
}
