// A prebuilt extension of JupyterLab 4, written by hand, so that no build is needed. JupyterLab loads it as a container of
// webpack's module federation: an object with init() and get().
(() => {
  "use strict";

  const KERNELS = "Kernels in containers";
  const COMMAND = "yarnspawner:kernels";
  // The id of `SCHEMA` in kernels/wait_events.py.
  const WAIT = "https://github.com/jupyterhub/yarnspawner/kernel-wait/v1";
  // Most kernels wait for less than this many milliseconds.
  const WORTH_TELLING = 3000;

  let shared = {};

  // Return a module that JupyterLab shares with its extensions.
  async function load(name) {
    const [version] = Object.values(shared[name]);
    return (await version.get())();
  }

  // What yarnspawner has added to the page's configuration.
  function option(name) {
    const data = document.getElementById("jupyter-config-data");
    return (data && JSON.parse(data.textContent)[name]) || "";
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

  const notice = {
    id: "yarnspawner:notice",
    autoStart: true,
    activate: app => {
      const message = option("yarnspawnerNotice");
      if (message) {
        app.restored
          .then(() => Promise.allSettled([notify(app, message), addToTopRow(app, message)]))
          .then(results => results.forEach(({ reason }) => reason && console.error("yarnspawner:", reason)));
      }
    },
  };

  // The page of kernels in containers, in a tab. Its buttons work without JupyterLab.
  function kernelsTab(app, apputils, widgets) {
    const frame = document.createElement("iframe");
    frame.src = app.serviceManager.serverSettings.baseUrl + option("yarnspawnerKernels");
    frame.title = KERNELS;
    frame.style.cssText = "border:0;width:100%;height:100%;background:white";
    const content = new widgets.Widget();
    content.node.appendChild(frame);
    const tab = new apputils.MainAreaWidget({ content });
    tab.id = "yarnspawner-kernels";
    tab.title.label = KERNELS;
    tab.title.closable = true;
    return tab;
  }

  // The command is in the launcher and in the command palette.
  async function kernels() {
    const names = ["@jupyterlab/apputils", "@jupyterlab/launcher", "@jupyterlab/ui-components", "@lumino/widgets"];
    const [apputils, { ILauncher }, { runningIcon }, widgets] = await Promise.all(names.map(load));
    const { ICommandPalette } = apputils;
    return {
      id: "yarnspawner:kernels",
      autoStart: true,
      optional: [ICommandPalette, ILauncher],
      activate: (app, palette, launcher) => {
        let tab;
        const execute = () => {
          tab = tab && !tab.isDisposed ? tab : kernelsTab(app, apputils, widgets);
          tab.isAttached || app.shell.add(tab, "main");
          app.shell.activateById(tab.id);
        };
        const caption = "What kernels in containers hold, and for how long they have been idle";
        app.commands.addCommand(COMMAND, { label: KERNELS, caption, icon: runningIcon, execute });
        palette && palette.addItem({ command: COMMAND, category: "Kernel Operations" });
        launcher && launcher.add({ command: COMMAND, category: "Other" });
      },
    };
  }

  // A notification for each kernel that waits. Without it, its notebook says no more than "Connecting".
  function showWait(app, waiting, kernel, message) {
    const execute = (name, args) => app.commands.execute(`apputils:${name}`, args);
    const options = { autoClose: false, actions: [{ label: "Show kernels", commandId: COMMAND }] };
    const known = waiting.get(kernel);
    if (!message) {
      waiting.delete(kernel);
      known && clearTimeout(known.timer);
      known && known.id && known.id.then(id => execute("dismiss-notification", { id }));
    } else if (known) {
      known.message = message;
      known.id && known.id.then(id => execute("update-notification", { id, message, type: "in-progress", options }));
    } else {
      const entry = { message };
      entry.timer = setTimeout(() => {
        entry.id = execute("notify", { message: entry.message, type: "in-progress", options });
      }, WORTH_TELLING);
      waiting.set(kernel, entry);
    }
  }

  const waits = {
    id: "yarnspawner:kernel-waits",
    autoStart: true,
    activate: app => {
      const waiting = new Map();
      const { events } = app.serviceManager;
      events && events.stream.connect((_, event) => {
        event.schema_id === WAIT && showWait(app, waiting, event.kernel, event.message);
      });
    },
  };

  // If JupyterLab lacks a module, the notice still works.
  async function plugins() {
    try {
      return option("yarnspawnerKernels") ? [notice, waits, await kernels()] : [notice];
    } catch (error) {
      console.error("yarnspawner:", error);
      return [notice];
    }
  }

  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB.yarnspawner = {
    init: scope => {
      shared = scope;
    },
    get: async () => {
      const found = await plugins();
      return () => ({ __esModule: true, default: found });
    },
  };
})();
