"use strict";
// The camera: single photos, and a live mode that sends the next frame when the last answer has come.
class Camera {
  static REASONS = {
    NotAllowedError: "The camera was not allowed; allow it in the settings of the browser.",
    NotFoundError: "There is no camera.",
    NotReadableError: "The camera is used by another program.",
  };

  // detect(canvas, name, live): sends a frame and shows the answer. report(error): shows an error.
  constructor({ detect, report }) {
    Object.assign(this, { detect, report, stream: null, live: false });
    const get = (id) => document.getElementById(id);
    [this.panel, this.video, this.liveButton, this.rate] = [get("capture"), document.querySelector("#capture video"), get("live"), get("rate")];
    get("camera").addEventListener("click", () => this.open());
    get("shot").addEventListener("click", () => this.shoot());
    get("close").addEventListener("click", () => this.close());
    this.liveButton.addEventListener("click", () => this.setLive(!this.live));
    document.addEventListener("visibilitychange", () => { if (document.hidden) this.setLive(false); });
  }

  async open() {
    if (this.stream) return;
    if (!navigator.mediaDevices?.getUserMedia) {
      this.report(new Error("This browser gives pages the camera only over https, or from the same machine."));
      return;
    }
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1280 } } });
      this.video.srcObject = this.stream;
      this.panel.hidden = false;
      await this.video.play();
      document.getElementById("shot").focus();
    } catch (error) {
      this.close();
      this.report(new Error(Camera.REASONS[error.name] ?? `The camera does not work: ${error.message}`));
    }
  }

  close() {
    this.setLive(false);
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = this.video.srcObject = null;
    this.panel.hidden = true;
  }

  frame() {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [this.video.videoWidth, this.video.videoHeight];
    canvas.getContext("2d").drawImage(this.video, 0, 0);
    return canvas;
  }

  async shoot() {
    this.setLive(false);
    if (this.video.videoWidth) await this.detect(this.frame(), "photo.jpg", false);
  }

  setLive(live) {
    const starts = live && !this.live && this.stream;
    this.live = Boolean(live && this.stream);
    this.liveButton.setAttribute("aria-pressed", String(this.live));
    this.rate.textContent = "";
    if (starts) this.loop();
  }

  async loop() {
    while (this.live) {
      const start = performance.now();
      if (this.video.videoWidth && !(await this.detect(this.frame(), "frame.jpg", true))) await new Promise((done) => setTimeout(done, 1000));
      if (!this.video.videoWidth) await new Promise((done) => setTimeout(done, 50));
      if (this.live) this.rate.textContent = `${(1000 / (performance.now() - start)).toFixed(1)} images per second`;
    }
  }
}
