import type { Commands } from './broker-process.js';
import { RemoteProcess } from './remote-process.js';

/** A broker in a process of its own. */
export class RemoteBroker extends RemoteProcess<Commands> {
  constructor() {
    super(new URL('./broker-process.js', import.meta.url));
  }
}
