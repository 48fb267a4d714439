// A prebuilt extension of JupyterLab 4, written by hand, so that no build is needed. JupyterLab loads it as a container of
// webpack's module federation: an object with init() and get().
(() => {
  "use strict";

  let shared = {};

  // Return a module that JupyterLab shares with its extensions.
  async function load(name) {
    const [version] = Object.values(shared[name]);
    return (await version.get())();
  }

  function notice() {
    const data = document.getElementById("jupyter-config-data");
    return (data && JSON.parse(data.textContent).yarnspawnerNotice) || "";
  }

  function notify(app, message) {
    // JupyterLab shows 140 characters of a notification. The remedy for administrators comes last in the message.
    const short = message.split(" Administrators")[0];
    const options = { autoClose: false };
    return app.commands.execute("apputils:notify", { message: short, type: "warning", options });
  }

  // A user can dismiss the notification. The text in the top row stays.
  async function addToTopRow(app, message) {
    const { Widget } = await load("@lumino/widgets");
    const button = document.createElement("button");
    button.textContent = "⚠ Notebooks are not stored safely";
    button.title = message;
    button.style.cssText =
      "background:none;border:none;cursor:pointer;color:var(--jp-warn-color0);font:inherit;padding:0 12px;align-self:center";
    button.addEventListener("click", () => notify(app, message));
    const widget = new Widget();
    widget.id = "yarnspawner-notice";
    widget.node.style.display = "flex";
    widget.node.appendChild(button);
    app.shell.add(widget, "top", { rank: 1000 });
  }

  const plugin = {
    id: "yarnspawner:notice",
    autoStart: true,
    activate: app => {
      const message = notice();
      if (message) {
        app.restored
          .then(() => Promise.allSettled([notify(app, message), addToTopRow(app, message)]))
          .then(results => results.forEach(({ reason }) => reason && console.error("yarnspawner:", reason)));
      }
    },
  };

  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB.yarnspawner = {
    init: scope => {
      shared = scope;
    },
    get: async () => () => ({ __esModule: true, default: plugin }),
  };
})();
