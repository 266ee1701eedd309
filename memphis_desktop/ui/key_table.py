"""The keys that everything comes with, place by place: what the editor lists before a screen was opened.

A place is where keys work at once: everywhere, in every list, on a screen, or in a part that several screens
show. Within one place no two commands come with the same keys.
"""

from __future__ import annotations

from memphis_desktop.language import tr
from memphis_desktop.ui.keymap import EVERYWHERE, LISTS, add_place

add_place(
    EVERYWHERE,
    tr("Everywhere"),
    search=(tr("Search or run a command"), "Ctrl+K"),
    back=(tr("Back"), "Alt+Left"),
    forward=(tr("Forward"), "Alt+Right"),
    home=(tr("Home"), "Ctrl+Shift+H"),
    new_tab=(tr("New tab"), "Ctrl+T"),
    close_tab=(tr("Close tab"), "Ctrl+W"),
    next_tab=(tr("Next tab"), "Ctrl+PgDown"),
    previous_tab=(tr("Previous tab"), "Ctrl+PgUp"),
    split=(tr("Open this tab in a split"), "Ctrl+\\"),
    other_side=(tr("Go to the other side of the split"), "F6"),
    move_across=(tr("Move this tab to the other side"), "Ctrl+Shift+\\"),
    publish=(tr("Publish or request a message"), "Ctrl+Shift+P"),
    open_file=(tr("Open a file"), "Ctrl+O"),
    filter=(tr("Filter this list"), "/"),
    messages=(tr("Go to the latest notice"), "F8"),
    shortcuts=(tr("Keyboard shortcuts"), "?"),
    rail=(tr("Narrow or widen the rail"), "Ctrl+B"),
    quit=(tr("Quit"), "Ctrl+Q"),
)
add_place(
    LISTS,
    tr("Lists"),
    down=(tr("One row down"), "J"),
    up=(tr("One row up"), "K"),
    first=(tr("First row"), "Home"),  # untranslated: a key
    last=(tr("Last row"), "End"),  # untranslated: a key
    open=(tr("Open"), "Return"),
    preview=(tr("Preview"), "Space"),
    copy=(tr("Copy as text"), "Ctrl+C"),
    copy_json=(tr("Copy as JSON"), "Ctrl+Shift+C"),
    all=(tr("Select all rows"), "Ctrl+A"),
    extend_down=(tr("Select the next row too"), "Shift+J"),
    extend_up=(tr("Select the row before too"), "Shift+K"),
    menu=(tr("What can be done with the rows"), "Shift+F10"),
    columns=(tr("Columns, order and export"), "F9"),
    choose=(tr("Choose columns"), "Shift+F9"),
)
add_place(
    "dialogs",
    tr("Dialogs"),
    alone=True,
    do=(tr("Do what the dialog is for"), "Ctrl+Return"),
    command=(tr("Show or hide the command"), "F4"),
)
add_place(
    "payload",
    tr("Payload as text or hex"),
    within=("station", "messages", "live", "dead_letters", "file", "decoders"),
    copy=(tr("Copy what is marked"), "Ctrl+C"),
    dump=(tr("Copy with offsets and characters"), "Ctrl+Shift+C"),
    all=(tr("Mark everything"), "Ctrl+A"),
    first=(tr("To its beginning"), "Home"),  # untranslated: a key
    last=(tr("To its end"), "End"),  # untranslated: a key
    find=(tr("Find in what is shown"), "Ctrl+F"),
    again=(tr("Find the next place"), "F3"),
)
add_place(
    "home",
    tr("Home"),
    new=(tr("New connection"), "Ctrl+N"),
    connect_in_tab=(tr("Connect in a new tab"), "Ctrl+Return"),
    edit=(tr("Edit connection"), "F2"),
    duplicate=(tr("Duplicate connection"), "Ctrl+D"),
    test=(tr("Test connection"), "T"),
    move_up=(tr("Move up"), "Alt+Up"),
    move_down=(tr("Move down"), "Alt+Down"),
    delete=(tr("Delete connection"), "Del"),
)
add_place(
    "overview",
    tr("Overview"),
    range=(tr("Next time range"), "R"),
    hold=(tr("Hold or follow the graphs"), "P"),
    unit=(tr("Switch messages and bytes"), "G"),
    now=(tr("Back to now"), "N"),
)
add_place(
    "stations",
    tr("Stations"),
    create=(tr("Create station"), "N"),
    tree=(tr("Group stations by the beginning of the name"), "T"),
    unfold=(tr("Open or close a line with others below it"), "P"),
    browse=(tr("Browse messages"), "B"),
    groups=(tr("Show groups"), "C"),
    listen=(tr("Listen to it live"), "L"),
    replay=(tr("Replay its messages"), "R"),
    edit=(tr("Edit station"), "E"),
    compare=(tr("Compare configurations"), "="),
    delete=(tr("Delete"), "Del"),
)
add_place(
    "station",
    tr("Station"),
    next_part=(tr("Next part of the station"), "Ctrl+Tab"),
    previous_part=(tr("Previous part of the station"), "Ctrl+Shift+Tab"),
    compare=(tr("Compare this station"), "="),
    edit=(tr("Edit this station"), "Ctrl+E"),
)
add_place(
    "subjects",
    tr("Subjects of a station"),
    within=("station",),
    browse=(tr("Browse the messages of a subject"), "B"),
    last=(tr("Last value of each subject"), "V"),
    read=(tr("Read the subjects again"), "F5"),
)
add_place(
    "station_raft",
    tr("Raft of a station"),
    within=("station",),
    step_down=(tr("Step down the leader"), "S"),
)
add_place(
    "messages",
    tr("Messages"),
    within=("station",),
    jump=(tr("Jump to a place in the station"), "G"),
    find=(tr("Find in messages"), "F"),
    search=(tr("Search the whole range"), "Ctrl+Return"),
    histogram=(tr("Messages over time"), "H"),
    follow=(tr("Follow new messages"), "T"),
    pause=(tr("Pause following"), "P"),
    matches=(tr("Do something with all matches"), "A"),
    pane=(tr("Show or hide the message pane"), "Space"),
    hex=(tr("Hex"), "X"),
    copy=(tr("Copy payload"), "Y"),
    copy_as=(tr("Copy message as"), "Shift+Y"),
    edit=(tr("Edit and publish"), "E"),
    replay=(tr("Replay messages"), "R"),
    before=(tr("Message before on the subject"), "["),
    after=(tr("Message after on the subject"), "]"),
    mark=(tr("Mark to compare"), "M"),
    compare=(tr("Compare messages"), "D"),
    explain=(tr("Why has a consumer not got it"), "W"),
    put_aside=(tr("Put aside"), "*"),
    show_aside=(tr("Messages put aside"), "Shift+A"),
    export=(tr("Export messages"), "Ctrl+Shift+E"),
    link=(tr("Copy a link to this view"), "L"),
)
add_place(
    "consumers",
    tr("Consumers"),
    within=("station", "consumer"),
    create=(tr("Create group"), "N"),
    browse=(tr("Browse the station's messages"), "B"),
    reset=(tr("Reset group"), "R"),
    fetch=(tr("Fetch by hand"), "F"),
    lag=(tr("Show the lag over time"), "L"),
    pause=(tr("Pause or resume"), "P"),
    edit=(tr("Edit group"), "E"),
    delete=(tr("Delete group"), "Del"),
)
add_place(
    "consumer",
    tr("Consumer"),
    unacknowledged=(tr("Show what is unacknowledged"), "U"),
    range=(tr("Next time range"), "Shift+R"),
)
add_place(
    "live",
    tr("Live"),
    listen=(tr("Listen to a subject"), "S"),
    hold=(tr("Hold or follow the list"), "T"),
    clear=(tr("Clear the list"), "Ctrl+L"),
    record=(tr("Record to a file"), "Ctrl+R"),
    publish=(tr("Publish a message"), "P"),
    request=(tr("Send a request"), "Q"),
    fold=(tr("Fold replies into requests"), "F"),
    edit=(tr("Edit and publish"), "E"),
)
add_place(
    "dead_letters",
    tr("Dead letters"),
    within=("station",),
    resend=(tr("Resend"), "R"),
    edit=(tr("Edit and resend"), "E"),
    journey=(tr("Journey"), "J"),
    note=(tr("Write a note"), "N"),
    show=(tr("Show in the station"), "B"),
    export=(tr("Export"), "Ctrl+Shift+E"),
    drop=(tr("Drop"), "Del"),
    select=(tr("Select all that match"), "A"),
    pane=(tr("Show or hide the message"), "Space"),
    waiting=(tr("Show the resends that wait"), "W"),
    read=(tr("Read again"), "F5"),
)
add_place(
    "replay",
    tr("Replay"),
    pause=(tr("Pause or resume the replay"), "Space"),
    cancel=(tr("Cancel the replay"), "Shift+Del"),
    again=(tr("Run the replay again"), "A"),
)
add_place(
    "key_value",
    tr("Key-value"),
    create=(tr("Create bucket"), "N"),
    edit=(tr("Edit bucket"), "E"),
    station=(tr("Open as station"), "S"),
    delete=(tr("Delete bucket"), "Del"),
)
add_place(
    "bucket",
    tr("Bucket"),
    create=(tr("New key"), "N"),
    edit=(tr("Edit the value"), "E"),
    history=(tr("Show the value or the history"), "H"),
    watch=(tr("Watch, or no more"), "W"),
    hold=(tr("Hold or follow the list"), "P"),
    changes=(tr("What changed since a moment"), "C"),
    read=(tr("Read again"), "F5"),
    delete=(tr("Delete keys"), "Del"),
    purge=(tr("Purge keys with their history"), "Shift+Del"),
    export=(tr("Export keys"), "Ctrl+Shift+E"),
    load=(tr("Import keys"), "Ctrl+I"),
    compare=(tr("Compare with another bucket"), "D"),
    next_part=(tr("Next part of the bucket"), "Ctrl+Tab"),
    previous_part=(tr("Previous part of the bucket"), "Ctrl+Shift+Tab"),
    station=(tr("Open as station"), "S"),
    edit_bucket=(tr("Edit bucket"), "Ctrl+E"),
)
add_place(
    "objects",
    tr("Objects"),
    create=(tr("Create bucket"), "N"),
    edit=(tr("Edit bucket"), "E"),
    station=(tr("Open as station"), "S"),
    delete=(tr("Delete"), "Del"),
)
add_place(
    "object_bucket",
    tr("Object bucket"),
    upload=(tr("Upload files"), "U"),
    download=(tr("Download"), "D"),
    edit=(tr("Edit description and headers"), "E"),
    rename=(tr("Rename"), "F2"),
    copy=(tr("Copy to"), "C"),
    link=(tr("Make a link"), "L"),
    verify=(tr("Verify digest"), "V"),
    up=(tr("Folder above"), "Backspace"),
    read=(tr("Read again"), "F5"),
    delete=(tr("Delete"), "Del"),
)
add_place(
    "cluster",
    tr("Cluster"),
    timeline=(tr("Leader timeline"), "T"),
    step_down=(tr("Step down the leader"), "S"),
    balance=(tr("Balance leaders"), "B"),
    next_part=(tr("Next part of the cluster"), "Ctrl+Tab"),
    previous_part=(tr("Previous part of the cluster"), "Ctrl+Shift+Tab"),
    range=(tr("Next time range"), "R"),
    hold=(tr("Hold or follow the graphs"), "P"),
    export=(tr("Export the timeline"), "Ctrl+S"),
    other_view=(tr("Graphs or list of events, table or map of the links"), "G"),
)
add_place(
    "clients",
    tr("Clients"),
    close=(tr("Close the connection of a client"), "Del"),
    move=(tr("Ask a client to move to another server"), "M"),
    pane=(tr("Show or hide the details"), "D"),
    next_part=(tr("Next part of the clients"), "Ctrl+Tab"),
    previous_part=(tr("Previous part of the clients"), "Ctrl+Shift+Tab"),
    read=(tr("Read again"), "F5"),
)
add_place(
    "account",
    tr("Account"),
    test=(tr("Test a permission"), "T"),
    really=(tr("Try the permission really"), "Ctrl+Return"),
    next_part=(tr("Next part of the account"), "Ctrl+Tab"),
    previous_part=(tr("Previous part of the account"), "Ctrl+Shift+Tab"),
    range=(tr("Next time range"), "R"),
    read=(tr("Read again"), "F5"),
)
add_place(
    "services",
    tr("Services"),
    read=(tr("Ask again"), "F5"),
    ask=(tr("Try it"), "T"),
)
add_place(
    "service",
    tr("Service"),
    next_part=(tr("Next part of the service"), "Ctrl+Tab"),
    previous_part=(tr("Previous part of the service"), "Ctrl+Shift+Tab"),
    read=(tr("Ask again"), "F5"),
    send=(tr("Send request"), "Ctrl+Return"),
    ask=(tr("Try it"), "T"),
)
add_place(
    "decoders",
    tr("Decoders"),
    add_rule=(tr("Add a decoder rule"), "N"),
    add_schemas=(tr("Add schemas"), "S"),
    hide_values=(tr("Hide values"), "M"),
)
add_place(
    "schemas",
    tr("Schemaverse"),
    create=(tr("Create schema"), "N"),
    new_version=(tr("New version"), "E"),
    activate=(tr("Activate version"), "V"),
    attach=(tr("Attach to stations, or detach"), "T"),
    remove=(tr("Remove schema"), "Del"),
)
add_place(
    "memphis_users",
    tr("Users"),
    add=(tr("Add user"), "N"),
    edit=(tr("Edit user and permissions"), "E"),
    password=(tr("Change password"), "P"),
    remove=(tr("Remove user"), "Del"),
)
add_place("memphis_audit", tr("Audit"), read=(tr("Read again"), "F5"))
add_place(
    "file",
    tr("File"),
    pane=(tr("Show the message's details"), "Space"),
    read=(tr("Read the file again"), "F5"),
)
add_place(
    "alerts",
    tr("Alerts"),
    seen=(tr("Mark as seen"), "A"),
    silence_hour=(tr("Silence for an hour"), "Z"),
    silence_day=(tr("Silence for a day"), "Shift+Z"),
    note=(tr("Write a note"), "T"),
    new_rule=(tr("New rule"), "N"),
    new_webhook=(tr("New webhook"), "W"),
)
add_place(
    "alert_rules",
    tr("Alert rules"),
    within=("alerts",),
    edit=(tr("Edit rule"), "E"),
    switch=(tr("Switch a rule on or off"), "O"),
    delete=(tr("Delete rule"), "Del"),
)
add_place(
    "webhooks",
    tr("Webhooks"),
    within=("alerts",),
    edit=(tr("Edit webhook"), "E"),
    test=(tr("Send a test"), "Shift+T"),
    switch=(tr("Switch a webhook on or off"), "O"),
    delete=(tr("Delete webhook"), "Del"),
)
add_place(
    "activity",
    tr("Activity"),
    within=("station",),
    export=(tr("Export the record"), "Ctrl+S"),
    copy=(tr("Copy the command"), "Y"),
    restore=(tr("Restore this configuration"), "R"),
)
add_place(
    "composer",
    tr("Composer"),
    alone=True,
    publish=(tr("Publish the message"), "Ctrl+Return"),
    request=(tr("Send and wait for replies"), "Ctrl+Shift+Return"),
    history=(tr("Messages sent before"), "Ctrl+H"),
    add=(tr("Set a field of the form, or add an item"), "Ins"),
    remove=(tr("Take a field or header away"), "Del"),
)
