"""The table of commands: which module has a command, and its line in the list. Nothing else is imported.

A row is ("MODULE" or "MODULE:ATTRIBUTE", one line of help). A member of a group is a row of its own, or the
name of the command that it is another spelling of.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    Row = tuple[str, str]

SECTIONS: dict[str, dict[str, Row]] = {
    "Containers": {
        "run": ("run", "Run a command in a new container"),
        "create": ("run:create", "Create a container without starting it"),
        "start": ("start", "Start containers that were created or have stopped"),
        "stop": ("stop", "Stop containers, with a signal first and a kill after a while"),
        "restart": ("stop:restart", "Stop and start containers"),
        "kill": ("kill", "Send a signal to containers"),
        "pause": ("pause", "Stop every process of containers where it is"),
        "unpause": ("pause:unpause", "Let the processes of paused containers go on"),
        "rm": ("rm", "Remove containers"),
        "ps": ("ps", "List containers"),
        "logs": ("logs", "Print what a container has written"),
        "exec": ("exec:exec_", "Run a command in a running container"),
        "attach": ("attach", "Join the streams of a running container"),
        "wait": ("wait", "Wait until containers stop, and print their exit codes"),
        "inspect": ("inspect", "Print all that is known of containers and images"),
        "cp": ("cp", "Copy files between containers and the host"),
        "diff": ("diff", "Print what a container has changed in its root file system"),
        "export": ("export", "Write the root file system of a container as a tar"),
        "commit": ("commit", "Make an image of a container"),
        "rename": ("rename", "Give a container another name"),
        "port": ("port", "Print where the ports of a container are on the host"),
        "top": ("top", "Print the processes of a container"),
    },
    "Images": {
        "pull": ("pull", "Fetch an image from a registry"),
        "images": ("images", "List images"),
        "history": ("history", "Print what an image is made of"),
        "save": ("save", "Write images to an archive or a directory"),
        "load": ("load", "Load images from an archive"),
        "import": ("import_:import_", "Make an image of a root file system"),
        "tag": ("tag", "Give an image another name"),
        "untag": ("tag:untag", "Take names from an image"),
        "rmi": ("rmi", "Remove images"),
        "login": ("login", "Check credentials with a registry and keep them"),
        "logout": ("login:logout", "Forget the credentials for a registry"),
    },
    "System": {
        "version": ("version", "Print the versions of rcrun and of what it speaks"),
        "info": ("info", "Print what rcrun found on this host"),
        "completion": ("completion", "Print the completion script for a shell"),
        "help": ("help:help_", "Print the help of a command"),
    },
}

HIDDEN: dict[str, Row] = {
    "__failed": ("failed", "Tell why a foreground launch failed (called by the shim)"),
    "__volumes": (
        "volumetar:drop_volumes",
        "Take away volumes without a name (called by the shim)",
    ),
}

GROUPS: dict[str, tuple[str, dict[str, Row | str]]] = {
    "container": (
        "Work with containers",
        {
            "attach": "attach",
            "commit": "commit",
            "cp": "cp",
            "create": "create",
            "diff": ("diff:diff_container", "Print what a container has changed"),
            "exec": "exec",
            "exists": (
                "exists:exists_container",
                "Tell by the exit status whether a container is here",
            ),
            "export": "export",
            "inspect": ("inspect:inspect_container", "Print all that is known of containers"),
            "kill": "kill",
            "list": "ps",
            "logs": "logs",
            "ls": "ps",
            "pause": "pause",
            "port": "port",
            "prune": ("prune:prune_containers", "Remove all containers that do not run"),
            "ps": "ps",
            "rename": "rename",
            "restart": "restart",
            "rm": "rm",
            "run": "run",
            "start": "start",
            "stop": "stop",
            "top": "top",
            "unpause": "unpause",
            "wait": "wait",
        },
    ),
    "image": (
        "Work with images",
        {
            "diff": ("diff:diff_image", "Print what an image changes of the one below it"),
            "exists": ("exists:exists_image", "Tell by the exit status whether an image is here"),
            "history": "history",
            "inspect": ("inspect:inspect_image", "Print all that is known of images"),
            "import": "import",
            "list": "images",
            "load": "load",
            "ls": "images",
            "prune": ("imageprune:prune_images", "Remove images that nobody needs"),
            "pull": "pull",
            "rm": "rmi",
            "save": "save",
            "tag": "tag",
            "untag": "untag",
            "validate": ("validate", "Check images, image layouts and their documents"),
        },
    ),
    "network": (
        "Work with networks that containers share",
        {
            "connect": ("network:connect_network", "Connect a container to a network"),
            "create": ("network:create_network", "Make a network"),
            "disconnect": ("network:disconnect_network", "Take a container off a network"),
            "exists": (
                "network:exists_network",
                "Tell by the exit status whether a network is here",
            ),
            "inspect": ("network:inspect_network", "Print all that is known of networks"),
            "list": ("network:list_networks", "List networks"),
            "ls": ("network:list_networks", "List networks"),
            "prune": ("network:prune_networks", "Remove networks that no container uses"),
            "reload": ("network:reload_network", "Make the networks of containers again"),
            "rm": ("network:remove_networks", "Remove networks"),
            "update": ("network:update_network", "Change the name servers of a network"),
        },
    ),
    "secret": (
        "Work with secrets",
        {
            "create": ("secret:create_secret", "Keep a secret for containers"),
            "exists": ("secret:exists_secret", "Tell by the exit status whether a secret is here"),
            "inspect": ("secret:inspect_secret", "Print what is known of secrets"),
            "list": ("secret:list_secrets", "List secrets"),
            "ls": ("secret:list_secrets", "List secrets"),
            "rm": ("secret:remove_secrets", "Remove secrets"),
        },
    ),
    "system": (
        "Work with rcrun itself",
        {"df": ("df", "Print how much room everything takes"), "info": "info"},
    ),
    "volume": (
        "Work with volumes",
        {
            "create": ("volume:create_volume", "Make a volume"),
            "exists": ("volume:exists_volume", "Tell by the exit status whether a volume is here"),
            "export": ("volumetar:export_volume", "Write the files of a volume as a tar"),
            "import": ("volumetar:import_volume", "Unpack a tar into a volume"),
            "inspect": ("volume:inspect_volume", "Print all that is known of volumes"),
            "list": ("volume:list_volumes", "List volumes"),
            "ls": ("volume:list_volumes", "List volumes"),
            "prune": ("volume:prune_volumes", "Remove volumes that no container uses"),
            "rm": ("volume:remove_volumes", "Remove volumes"),
        },
    ),
}
