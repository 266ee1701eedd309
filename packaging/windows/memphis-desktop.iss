; Installer for Windows. Built by `python dev.py package` where Inno Setup 6 (iscc) is on the PATH.
#ifndef Version
  #error Say /DVersion=…
#endif

[Setup]
AppId={{6F0F0B5B-6E0F-4C0B-9D7A-1B1C6A2F5D11}
AppName=Memphis Desktop
AppVersion={#Version}
AppPublisher=The Memphis Desktop developers
DefaultDirName={autopf}\Memphis Desktop
DefaultGroupName=Memphis Desktop
PrivilegesRequired=lowest
PrivilegesRequiredOverridesAllowed=dialog
ArchitecturesAllowed=x64compatible
ArchitecturesInstallIn64BitMode=x64compatible
LicenseFile=..\..\LICENSE
OutputBaseFilename=memphis-desktop-{#Version}-windows-setup
SetupIconFile=..\..\build\icons\memphis-desktop.ico
UninstallDisplayIcon={app}\memphis-desktop.exe
Compression=lzma2
SolidCompression=yes
ChangesAssociations=yes
WizardStyle=modern

[Files]
Source: "..\..\build\bundle\memphis-desktop\*"; DestDir: "{app}"; Flags: recursesubdirs ignoreversion

[Icons]
Name: "{group}\Memphis Desktop"; Filename: "{app}\memphis-desktop.exe"
Name: "{autodesktop}\Memphis Desktop"; Filename: "{app}\memphis-desktop.exe"; Tasks: desktopicon

[Tasks]
Name: desktopicon; Description: "Put an icon on the desktop"; Flags: unchecked
Name: links; Description: "Open nats:// links with Memphis Desktop"

[Registry]
Root: HKA; Subkey: "Software\Classes\.mdump"; ValueType: string; ValueData: "MemphisDesktop.Dump"; Flags: uninsdeletevalue
Root: HKA; Subkey: "Software\Classes\MemphisDesktop.Dump"; ValueType: string; ValueData: "Memphis Desktop message export"; Flags: uninsdeletekey
Root: HKA; Subkey: "Software\Classes\MemphisDesktop.Dump\shell\open\command"; ValueType: string; ValueData: """{app}\memphis-desktop.exe"" ""%1"""
Root: HKA; Subkey: "Software\Classes\.mworkspace"; ValueType: string; ValueData: "MemphisDesktop.Workspace"; Flags: uninsdeletevalue
Root: HKA; Subkey: "Software\Classes\MemphisDesktop.Workspace"; ValueType: string; ValueData: "Memphis Desktop workspace"; Flags: uninsdeletekey
Root: HKA; Subkey: "Software\Classes\MemphisDesktop.Workspace\shell\open\command"; ValueType: string; ValueData: """{app}\memphis-desktop.exe"" ""%1"""
Root: HKA; Subkey: "Software\Classes\nats"; ValueType: string; ValueData: "URL:NATS server"; Flags: uninsdeletekey; Tasks: links
Root: HKA; Subkey: "Software\Classes\nats"; ValueType: string; ValueName: "URL Protocol"; ValueData: ""; Tasks: links
Root: HKA; Subkey: "Software\Classes\nats\shell\open\command"; ValueType: string; ValueData: """{app}\memphis-desktop.exe"" ""%1"""; Tasks: links

[Run]
Filename: "{app}\memphis-desktop.exe"; Description: "Start Memphis Desktop"; Flags: postinstall nowait skipifsilent
