// Foxglove Studio as it was on npm last, with one source of data and one layout, both from the address:
//
//     /?ds=foxglove-websocket&ds.url=URL&layout=JSON
//     /?ds=remote-file&ds.url=URL of FILE.mcap&layout=JSON
//
// The layout is one of Studio's own; nothing is stored but in this page.
const studio = window;

class Settings {
  #values = new Map([
    ["colorScheme", "dark"],
    ["ui.open-dialog-startup", false],
    ["telemetry.telemetryEnabled", false],
    ["telemetry.crashReportingEnabled", false],
    ["hideSignInPrompt", true],
    ["timezone", "UTC"],
  ]);
  get(key) {
    return this.#values.get(key);
  }
  async set(key, value) {
    this.#values.set(key, value);
  }
  addChangeListener() {}
  removeChangeListener() {}
}

class Layouts {
  #layouts = new Map();
  async list() {
    return [...this.#layouts.values()];
  }
  async get(namespace, id) {
    return this.#layouts.get(id);
  }
  async put(namespace, layout) {
    this.#layouts.set(layout.id, layout);
    return layout;
  }
  async delete(namespace, id) {
    this.#layouts.delete(id);
  }
  async importLayouts() {}
}

const here = new URL(location.href);
const layouts = new Layouts();
await layouts.put("local", {
  id: "test",
  name: "slipring",
  permission: "CREATOR_WRITE",
  baseline: { data: JSON.parse(here.searchParams.get("layout")), savedAt: new Date().toISOString() },
});
localStorage.setItem("studio.profile-data", JSON.stringify({ currentLayoutId: "test" }));
await studio.initI18n();
ReactDOM.render(
  React.createElement(studio.App, {
    deepLinks: [here.href],
    appConfiguration: new Settings(),
    dataSources: [new studio.FoxgloveWebSocketDataSourceFactory(), new studio.RemoteDataSourceFactory()],
    layoutStorage: layouts,
    extensionLoaders: [],
    enableGlobalCss: true,
  }),
  document.getElementById("root"),
);
