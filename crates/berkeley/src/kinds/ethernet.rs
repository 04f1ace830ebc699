//! Numbers of the link layer: what a frame carries, whom it is for, what it travels on.

open_newtype! {
    /// What an Ethernet frame carries (`ETH_P_*`, `ETHERTYPE_*`), in the machine's own byte order:
    /// [`crate::Protocol::ethernet`] and [`crate::PacketAddr`] turn it for the network.
    EtherType: u16 {
        /// `ETH_P_LOOP`: Ethernet Loopback packet.
        LOOP = 0x0060;
        /// `ETH_P_PUP`: Xerox PUP packet.
        PUP = 0x0200;
        /// `ETH_P_PUPAT`: Xerox PUP Addr Trans packet.
        PUPAT = 0x0201;
        /// `ETH_P_TSN`: TSN (IEEE 1722) packet.
        TSN = 0x22F0;
        /// `ETH_P_ERSPAN2`: ERSPAN version 2 (type III).
        ERSPAN2 = 0x22EB;
        /// `ETH_P_IP`: Internet Protocol packet.
        IP = 0x0800;
        /// `ETH_P_X25`: CCITT X.25.
        X25 = 0x0805;
        /// `ETH_P_ARP`: Address Resolution packet.
        ARP = 0x0806;
        /// `ETH_P_BPQ`: G8BPQ AX.25 Ethernet Packet.
        BPQ = 0x08FF;
        /// `ETH_P_IEEEPUP`: Xerox IEEE802.3 PUP packet.
        IEEEPUP = 0x0a00;
        /// `ETH_P_IEEEPUPAT`: Xerox IEEE802.3 PUP Addr Trans packet.
        IEEEPUPAT = 0x0a01;
        /// `ETH_P_BATMAN`: B.A.T.M.A.N.-Advanced packet.
        BATMAN = 0x4305;
        /// `ETH_P_DEC`: DEC Assigned proto.
        DEC = 0x6000;
        /// `ETH_P_DNA_DL`: DEC DNA Dump/Load.
        DNA_DL = 0x6001;
        /// `ETH_P_DNA_RC`: DEC DNA Remote Console.
        DNA_RC = 0x6002;
        /// `ETH_P_DNA_RT`: DEC DNA Routing.
        DNA_RT = 0x6003;
        /// `ETH_P_LAT`: DEC LAT.
        LAT = 0x6004;
        /// `ETH_P_DIAG`: DEC Diagnostics.
        DIAG = 0x6005;
        /// `ETH_P_CUST`: DEC Customer use.
        CUST = 0x6006;
        /// `ETH_P_SCA`: DEC Systems Comms Arch.
        SCA = 0x6007;
        /// `ETH_P_TEB`: Trans Ether Bridging.
        TEB = 0x6558;
        /// `ETH_P_RARP`: Reverse Addr Res packet.
        RARP = 0x8035;
        /// `ETH_P_ATALK`: Appletalk DDP.
        ATALK = 0x809B;
        /// `ETH_P_AARP`: Appletalk AARP.
        AARP = 0x80F3;
        /// `ETH_P_8021Q`: 802.1Q VLAN Extended Header.
        VLAN = 0x8100;
        /// `ETH_P_ERSPAN`: ERSPAN type II.
        ERSPAN = 0x88BE;
        /// `ETH_P_IPX`: IPX over DIX.
        IPX = 0x8137;
        /// `ETH_P_IPV6`: IPv6 over bluebook.
        IPV6 = 0x86DD;
        /// `ETH_P_PAUSE`: IEEE Pause frames. See 802.3 31B.
        PAUSE = 0x8808;
        /// `ETH_P_SLOW`: Slow Protocol. See 802.3ad 43B.
        SLOW = 0x8809;
        /// `ETH_P_WCCP`: Web-cache coordination protocol.
        WCCP = 0x883E;
        /// `ETH_P_MPLS_UC`: MPLS Unicast traffic.
        MPLS_UC = 0x8847;
        /// `ETH_P_MPLS_MC`: MPLS Multicast traffic.
        MPLS_MC = 0x8848;
        /// `ETH_P_ATMMPOA`: MultiProtocol Over ATM.
        ATMMPOA = 0x884c;
        /// `ETH_P_PPP_DISC`: PPPoE discovery messages.
        PPP_DISC = 0x8863;
        /// `ETH_P_PPP_SES`: PPPoE session messages.
        PPP_SES = 0x8864;
        /// `ETH_P_LINK_CTL`: HPNA, wlan link local tunnel.
        LINK_CTL = 0x886c;
        /// `ETH_P_ATMFATE`: Frame-based ATM Transport.
        ATMFATE = 0x8884;
        /// `ETH_P_PAE`: Port Access Entity (IEEE 802.1X).
        PAE = 0x888E;
        /// `ETH_P_PROFINET`: PROFINET.
        PROFINET = 0x8892;
        /// `ETH_P_REALTEK`: Multiple proprietary protocols.
        REALTEK = 0x8899;
        /// `ETH_P_AOE`: ATA over Ethernet.
        AOE = 0x88A2;
        /// `ETH_P_ETHERCAT`: EtherCAT.
        ETHERCAT = 0x88A4;
        /// `ETH_P_8021AD`: 802.1ad Service VLAN.
        VLAN_SERVICE = 0x88A8;
        /// `ETH_P_802_EX1`: 802.1 Local Experimental 1.
        EXPERIMENTAL_1 = 0x88B5;
        /// `ETH_P_PREAUTH`: 802.11 Preauthentication.
        PREAUTH = 0x88C7;
        /// `ETH_P_TIPC`: TIPC.
        TIPC = 0x88CA;
        /// `ETH_P_LLDP`: Link Layer Discovery Protocol.
        LLDP = 0x88CC;
        /// `ETH_P_MRP`: Media Redundancy Protocol.
        MRP = 0x88E3;
        /// `ETH_P_MACSEC`: 802.1ae MACsec.
        MACSEC = 0x88E5;
        /// `ETH_P_8021AH`: 802.1ah Backbone Service Tag.
        BACKBONE = 0x88E7;
        /// `ETH_P_MVRP`: 802.1Q MVRP.
        MVRP = 0x88F5;
        /// `ETH_P_1588`: IEEE 1588 Timesync.
        PTP = 0x88F7;
        /// `ETH_P_NCSI`: NCSI protocol.
        NCSI = 0x88F8;
        /// `ETH_P_PRP`: IEC 62439-3 PRP/HSRv0.
        PRP = 0x88FB;
        /// `ETH_P_CFM`: Connectivity Fault Management.
        CFM = 0x8902;
        /// `ETH_P_FCOE`: Fibre Channel over Ethernet.
        FCOE = 0x8906;
        /// `ETH_P_IBOE`: Infiniband over Ethernet.
        IBOE = 0x8915;
        /// `ETH_P_TDLS`: TDLS.
        TDLS = 0x890D;
        /// `ETH_P_FIP`: FCoE Initialization Protocol.
        FIP = 0x8914;
        /// `ETH_P_80221`: IEEE 802.21 Media Independent Handover Protocol.
        IEEE802_21 = 0x8917;
        /// `ETH_P_HSR`: IEC 62439-3 HSRv1.
        HSR = 0x892F;
        /// `ETH_P_NSH`: Network Service Header.
        NSH = 0x894F;
        /// `ETH_P_LOOPBACK`: Ethernet loopback packet, per IEEE 802.3.
        LOOPBACK = 0x9000;
        /// `ETH_P_QINQ1`: deprecated QinQ VLAN.
        QINQ1 = 0x9100;
        /// `ETH_P_QINQ2`: deprecated QinQ VLAN.
        QINQ2 = 0x9200;
        /// `ETH_P_QINQ3`: deprecated QinQ VLAN.
        QINQ3 = 0x9300;
        /// `ETH_P_EDSA`: Ethertype DSA.
        EDSA = 0xDADA;
        /// `ETH_P_DSA_8021Q`: Fake VLAN Header for DSA.
        DSA_8021Q = 0xDADB;
        /// `ETH_P_DSA_A5PSW`: A5PSW Tag Value.
        DSA_A5PSW = 0xE001;
        /// `ETH_P_IFE`: ForCES inter-FE LFB type.
        IFE = 0xED3E;
        /// `ETH_P_AF_IUCV`: IBM af_iucv.
        AF_IUCV = 0xFBFB;
        /// `ETH_P_802_3`: Dummy type for 802.3 frames.
        IEEE802_3 = 0x0001;
        /// `ETH_P_AX25`: Dummy protocol id for AX.25.
        AX25 = 0x0002;
        /// `ETH_P_ALL`: Every packet (be careful!!!).
        ALL = 0x0003;
        /// `ETH_P_802_2`: 802.2 frames.
        IEEE802_2 = 0x0004;
        /// `ETH_P_SNAP`: Internal only.
        SNAP = 0x0005;
        /// `ETH_P_DDCMP`: DEC DDCMP: Internal only.
        DDCMP = 0x0006;
        /// `ETH_P_WAN_PPP`: Dummy type for WAN PPP frames.
        WAN_PPP = 0x0007;
        /// `ETH_P_PPP_MP`: Dummy type for PPP MP frames.
        PPP_MP = 0x0008;
        /// `ETH_P_LOCALTALK`: Localtalk pseudo type.
        LOCALTALK = 0x0009;
        /// `ETH_P_CAN`: CAN: Controller Area Network.
        CAN = 0x000C;
        /// `ETH_P_CANFD`: CANFD: CAN flexible data rate.
        CANFD = 0x000D;
        /// `ETH_P_CANXL`: CANXL: eXtended frame Length.
        CANXL = 0x000E;
        /// `ETH_P_PPPTALK`: Dummy type for Atalk over PPP.
        PPPTALK = 0x0010;
        /// `ETH_P_TR_802_2`: 802.2 frames.
        TR_802_2 = 0x0011;
        /// `ETH_P_MOBITEX`: Mobitex (kaz@cafe.net).
        MOBITEX = 0x0015;
        /// `ETH_P_CONTROL`: Card specific control frames.
        CONTROL = 0x0016;
        /// `ETH_P_IRDA`: Linux-IrDA.
        IRDA = 0x0017;
        /// `ETH_P_ECONET`: Acorn Econet.
        ECONET = 0x0018;
        /// `ETH_P_HDLC`: HDLC frames.
        HDLC = 0x0019;
        /// `ETH_P_ARCNET`: 1A for ArcNet :-).
        ARCNET = 0x001A;
        /// `ETH_P_DSA`: Distributed Switch Arch.
        DSA = 0x001B;
        /// `ETH_P_TRAILER`: Trailer switch tagging.
        TRAILER = 0x001C;
        /// `ETH_P_PHONET`: Nokia Phonet frames.
        PHONET = 0x00F5;
        /// `ETH_P_IEEE802154`: IEEE802.15.4 frame.
        IEEE802154 = 0x00F6;
        /// `ETH_P_CAIF`: ST-Ericsson CAIF protocol.
        CAIF = 0x00F7;
        /// `ETH_P_XDSA`: Multiplexed DSA protocol.
        XDSA = 0x00F8;
        /// `ETH_P_MAP`: Qualcomm multiplexing and.
        MAP = 0x00F9;
        /// `ETH_P_MCTP`: Management component transport.
        MCTP = 0x00FA;
    }
}

open_newtype! {
    /// What kind of interface a frame came through (`ARPHRD_*`), netdevice(7).
    HardwareType: u16 {
        /// `ARPHRD_NETROM`: from KA9Q: NET/ROM pseudo.
        NETROM = 0;
        /// `ARPHRD_ETHER`: Ethernet 10Mbps.
        ETHER = 1;
        /// `ARPHRD_EETHER`: Experimental Ethernet.
        EETHER = 2;
        /// `ARPHRD_AX25`: AX.25 Level 2.
        AX25 = 3;
        /// `ARPHRD_PRONET`: PROnet token ring.
        PRONET = 4;
        /// `ARPHRD_CHAOS`: Chaosnet.
        CHAOS = 5;
        /// `ARPHRD_IEEE802`: IEEE 802.2 Ethernet/TR/TB.
        IEEE802 = 6;
        /// `ARPHRD_ARCNET`: ARCnet.
        ARCNET = 7;
        /// `ARPHRD_APPLETLK`: APPLEtalk.
        APPLETLK = 8;
        /// `ARPHRD_DLCI`: Frame Relay DLCI.
        DLCI = 15;
        /// `ARPHRD_ATM`: ATM.
        ATM = 19;
        /// `ARPHRD_METRICOM`: Metricom STRIP (new IANA id).
        METRICOM = 23;
        /// `ARPHRD_IEEE1394`: IEEE 1394 IPv4 - RFC 2734.
        IEEE1394 = 24;
        /// `ARPHRD_EUI64`: EUI-64.
        EUI64 = 27;
        /// `ARPHRD_INFINIBAND`: InfiniBand.
        INFINIBAND = 32;
        /// `ARPHRD_RSRVD`: Notional KISS type.
        RSRVD = 260;
        /// `ARPHRD_X25`: CCITT X.25.
        X25 = 271;
        /// `ARPHRD_HWX25`: Boards with X.25 in firmware.
        HWX25 = 272;
        /// `ARPHRD_CAN`: Controller Area Network.
        CAN = 280;
        /// `ARPHRD_CISCO`: Cisco HDLC.
        CISCO = 513;
        /// `ARPHRD_LAPB`: LAPB.
        LAPB = 516;
        /// `ARPHRD_DDCMP`: Digital's DDCMP protocol.
        DDCMP = 517;
        /// `ARPHRD_RAWHDLC`: Raw HDLC.
        RAWHDLC = 518;
        /// `ARPHRD_RAWIP`: Raw IP.
        RAWIP = 519;
        /// `ARPHRD_TUNNEL`: IPIP tunnel.
        TUNNEL = 768;
        /// `ARPHRD_TUNNEL6`: IP6IP6 tunnel.
        TUNNEL6 = 769;
        /// `ARPHRD_FRAD`: Frame Relay Access Device.
        FRAD = 770;
        /// `ARPHRD_SKIP`: SKIP vif.
        SKIP = 771;
        /// `ARPHRD_LOOPBACK`: Loopback device.
        LOOPBACK = 772;
        /// `ARPHRD_LOCALTLK`: Localtalk device.
        LOCALTLK = 773;
        /// `ARPHRD_FDDI`: Fiber Distributed Data Interface.
        FDDI = 774;
        /// `ARPHRD_BIF`: AP1000 BIF.
        BIF = 775;
        /// `ARPHRD_SIT`: sit0 device - IPv6-in-IPv4.
        SIT = 776;
        /// `ARPHRD_IPDDP`: IP over DDP tunneller.
        IPDDP = 777;
        /// `ARPHRD_IPGRE`: GRE over IP.
        IPGRE = 778;
        /// `ARPHRD_PIMREG`: PIMSM register interface.
        PIMREG = 779;
        /// `ARPHRD_HIPPI`: High Performance Parallel Interface.
        HIPPI = 780;
        /// `ARPHRD_ASH`: Nexus 64Mbps Ash.
        ASH = 781;
        /// `ARPHRD_ECONET`: Acorn Econet.
        ECONET = 782;
        /// `ARPHRD_IRDA`: Linux-IrDA.
        IRDA = 783;
        /// `ARPHRD_FCPP`: Point to point fibrechannel.
        FCPP = 784;
        /// `ARPHRD_FCAL`: Fibrechannel arbitrated loop.
        FCAL = 785;
        /// `ARPHRD_FCPL`: Fibrechannel public loop.
        FCPL = 786;
        /// `ARPHRD_FCFABRIC`: Fibrechannel fabric.
        FCFABRIC = 787;
        /// `ARPHRD_IEEE802_TR`: Magic type ident for TR.
        IEEE802_TR = 800;
        /// `ARPHRD_IEEE80211`: IEEE 802.11.
        IEEE80211 = 801;
        /// `ARPHRD_IEEE80211_PRISM`: IEEE 802.11 + Prism2 header.
        IEEE80211_PRISM = 802;
        /// `ARPHRD_IEEE80211_RADIOTAP`: IEEE 802.11 + radiotap header.
        IEEE80211_RADIOTAP = 803;
        /// `ARPHRD_IEEE802154_MONITOR`: IEEE 802.15.4 network monitor.
        IEEE802154_MONITOR = 805;
        /// `ARPHRD_PHONET`: PhoNet media type.
        PHONET = 820;
        /// `ARPHRD_PHONET_PIPE`: PhoNet pipe header.
        PHONET_PIPE = 821;
        /// `ARPHRD_CAIF`: CAIF media type.
        CAIF = 822;
        /// `ARPHRD_IP6GRE`: GRE over IPv6.
        IP6GRE = 823;
        /// `ARPHRD_NETLINK`: Netlink header.
        NETLINK = 824;
        /// `ARPHRD_6LOWPAN`: IPv6 over LoWPAN.
        LOWPAN6 = 825;
        /// `ARPHRD_VSOCKMON`: Vsock monitor header.
        VSOCKMON = 826;
        /// `ARPHRD_VOID`: Void type, nothing is known.
        VOID = 0xFFFF;
        /// `ARPHRD_NONE`: zero header length.
        NONE = 0xFFFE;
    }
}

open_newtype! {
    /// Whom a frame is for, as seen from this machine (`PACKET_*`), packet(7).
    PacketType: u8 {
        /// For this machine.
        HOST = 0;
        /// For everybody on the link.
        BROADCAST = 1;
        /// For a group on the link.
        MULTICAST = 2;
        /// For another machine; seen in promiscuous mode.
        OTHERHOST = 3;
        /// From this machine, looped back to packet sockets.
        OUTGOING = 4;
        /// Looped back, and never seen by programs.
        LOOPBACK = 5;
        /// Never seen by programs.
        FASTROUTE = 6;
        /// To programs, in netlink's monitor.
        USER = 6;
        /// To the kernel, in netlink's monitor.
        KERNEL = 7;
    }
}
