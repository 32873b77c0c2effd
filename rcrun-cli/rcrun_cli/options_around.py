"""Options of `run` and `create`: its network, its record, its life."""

from __future__ import annotations

from rcrun_cli.declare import option

NETWORK = (
    option(
        "--network",
        "--net",
        multiple=True,
        metavar="NETWORK[:KEY=VALUE,…]",
        help="none, host, pasta, slirp4netns, bridge, or networks of `rcrun network create`",
    ),
    option(
        "--network-alias",
        "--net-alias",
        multiple=True,
        metavar="NAME",
        help="Another name in its network",
    ),
    option("--ip", metavar="ADDRESS", help="Its IPv4 address in its network"),
    option("--ip6", metavar="ADDRESS", help="Its IPv6 address in its network"),
    option("--mac-address", metavar="MAC", help="Its hardware address in its network"),
    option(
        "-p",
        "--publish",
        multiple=True,
        metavar="[[IP:]HOST:]PORT[/udp]",
        help="Publish a port on the host",
    ),
    option("-P", "--publish-all", is_flag=True, help="Publish all exposed ports on free ports"),
    option(
        "--expose", multiple=True, metavar="PORT[/udp]", help="Note that the container listens here"
    ),
    option("-h", "--hostname", metavar="NAME", help="Host name; the short id if nothing is said"),
    option("--domainname", metavar="NAME", help="NIS domain name"),
    option(
        "--add-host",
        multiple=True,
        metavar="NAME:ADDRESS",
        help="Add a line to /etc/hosts; host-gateway is the host",
    ),
    option("--no-hosts", is_flag=True, default=None, help="Leave /etc/hosts as the image has it"),
    option("--dns", multiple=True, metavar="ADDRESS", help="Name server"),
    option("--dns-option", "--dns-opt", multiple=True, metavar="OPTION", help="Resolver option"),
    option("--dns-search", multiple=True, metavar="DOMAIN", help="Search domain; . for none"),
)
RECORD = (
    option("--name", metavar="NAME", help="Name; one is made up if nothing is said"),
    option("--cidfile", metavar="FILE", help="Write the container's id to a file that must not exist"),
    option("-l", "--label", multiple=True, metavar="KEY=VALUE", help="Set a label"),
    option("--label-file", multiple=True, metavar="FILE", help="Read labels from a file"),
    option("--annotation", multiple=True, metavar="KEY=VALUE", help="Set an annotation of config.json"),
    option("--log-driver", metavar="DRIVER", help="k8s-file, json-file, journald, none, passthrough or passthrough-tty"),
    option("--log-opt", multiple=True, metavar="KEY=VALUE", help="max-size, max-file, compress, path, tag, labels, env, mode, max-buffer-size"),
    option("--rm", is_flag=True, help="Remove the container when it has ended"),
    option("--timeout", type=int, metavar="SECONDS", help="Kill the container when it has run for so long"),
    option("--restart", metavar="POLICY", help="no, on-failure[:COUNT], always or unless-stopped"),
    option("--pull", type=["always", "missing", "never", "newer"], help="When to fetch the image; missing if nothing is said"),
    option("--platform", metavar="OS/ARCHITECTURE", help="The platform to choose from an image for several"),
    option("-q", "--quiet", is_flag=True, help="Print no progress"),
)  # fmt: skip
HEALTH = (
    option("--health-cmd", "--healthcheck-command", metavar="COMMAND", help="Check the container's health with this command"),
    option("--health-interval", "--healthcheck-interval", metavar="DURATION", help="Time between checks; 30s if nothing is said"),
    option("--health-retries", "--healthcheck-retries", metavar="COUNT", help="So many failures in a row mean unhealthy; 3 if nothing is said"),
    option("--health-start-period", "--healthcheck-start-period", metavar="DURATION", help="Failures do not count before"),
    option("--health-start-interval", metavar="DURATION", help="Time between checks in the start period; 5s if nothing is said"),
    option("--health-timeout", "--healthcheck-timeout", metavar="DURATION", help="A check that takes longer has failed; 30s if nothing is said"),
    option("--health-on-failure", metavar="ACTION", help="When it becomes unhealthy: none, kill, restart or stop"),
    option("--no-healthcheck", is_flag=True, help="Do not check, whatever the image says"),
)  # fmt: skip
