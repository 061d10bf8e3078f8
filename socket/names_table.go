package socket

// What stands in the place of a missing services file: names and ports from IANA's
// registry of services, with older and common names as aliases.
const services = `
echo        7/tcp
echo        7/udp
discard     9/tcp     sink null
discard     9/udp     sink null
daytime     13/tcp
daytime     13/udp
chargen     19/tcp
chargen     19/udp
ftp-data    20/tcp
ftp         21/tcp
ssh         22/tcp
telnet      23/tcp
smtp        25/tcp    mail
time        37/tcp
time        37/udp
whois       43/tcp    nicname
domain      53/tcp
domain      53/udp
bootps      67/udp
bootpc      68/udp
tftp        69/udp
gopher      70/tcp
finger      79/tcp
http        80/tcp    www
kerberos    88/tcp
kerberos    88/udp
pop3        110/tcp
sunrpc      111/tcp   portmapper
sunrpc      111/udp   portmapper
auth        113/tcp   ident
nntp        119/tcp
ntp         123/udp
imap        143/tcp   imap2
snmp        161/tcp
snmp        161/udp
snmptrap    162/tcp
snmptrap    162/udp
bgp         179/tcp
irc         194/tcp
ldap        389/tcp
ldap        389/udp
https       443/tcp
https       443/udp
submissions 465/tcp   smtps
exec        512/tcp
biff        512/udp   comsat
login       513/tcp
who         513/udp
shell       514/tcp
syslog      514/udp
printer     515/tcp
rtsp        554/tcp
rtsp        554/udp
submission  587/tcp
ldaps       636/tcp
rsync       873/tcp
ftps-data   989/tcp
ftps        990/tcp
imaps       993/tcp
pop3s       995/tcp
socks       1080/tcp
mqtt        1883/tcp
nfs         2049/tcp
nfs         2049/udp
mysql       3306/tcp
sip         5060/tcp
sip         5060/udp
mdns        5353/udp
postgresql  5432/tcp
amqp        5672/tcp
http-alt    8080/tcp
`

// What stands in the place of a missing protocols file: IANA's assigned internet
// protocol numbers.
const protocols = `
ip        0   IP
icmp      1   ICMP
igmp      2   IGMP
ipencap   4   IP-ENCAP
tcp       6   TCP
egp       8   EGP
pup       12  PUP
udp       17  UDP
dccp      33  DCCP
ipv6      41  IPv6
rsvp      46  RSVP
gre       47  GRE
esp       50  ESP
ah        51  AH
ipv6-icmp 58  IPv6-ICMP
ipv6-nonxt 59 IPv6-NoNxt
ipv6-opts 60  IPv6-Opts
ospf      89  OSPF
pim       103 PIM
vrrp      112 VRRP
sctp      132 SCTP
udplite   136 UDPLite
mptcp     262 MPTCP
`
