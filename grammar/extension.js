// The language server, `qrlc lsp`, in VS Code. Without `npm install` in this folder, or without
// qrlang's extra `lsp`, highlighting is all there is.
const { window, workspace } = require("vscode");

let client;

exports.activate = async () => {
  let lsp;
  try {
    lsp = require("vscode-languageclient/node");
  } catch {
    window.showInformationMessage(`qrl: run "npm install" in ${__dirname} for messages as you type.`);
    return;
  }
  const command = workspace.getConfiguration("qrl").get("command");
  client = new lsp.LanguageClient(
    "qrl",
    "qrlang",
    { command, args: ["lsp"] },
    {
      documentSelector: [{ language: "qrl" }],
      synchronize: { fileEvents: workspace.createFileSystemWatcher("**/*.qrl") },
    }
  );
  try {
    await client.start();
  } catch (why) {
    window.showErrorMessage(
      `qrl: "${command} lsp" did not start: ${why}. The setting qrl.command says where qrlc is; ` +
        "pip install 'qrlang[lsp]' brings what it needs."
    );
  }
};

exports.deactivate = () => client?.stop();
