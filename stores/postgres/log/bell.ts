/** Wakes the one who waits; a ring that nobody waits for is kept for the next wait. */
export class Bell {
  private rung = false;
  private wake: (() => void) | null = null;

  ring(): void {
    if (this.wake === null) {
      this.rung = true;
      return;
    }
    const wake = this.wake;
    this.wake = null;
    wake();
  }

  async wait(): Promise<void> {
    if (this.rung) {
      this.rung = false;
      return;
    }
    await new Promise<void>((resolve) => (this.wake = resolve));
  }
}
