import { applicationPhase } from './application-phase.js';
import { compactionPhase } from './compaction-phase.js';
import { fullDiskPhase, noSpacePhase } from './full-disk-phase.js';
import type { Phase } from './phase.js';
import { recoveryPhase } from './recovery-phase.js';
import { rollPhase } from './roll-phase.js';

export const PHASES: Readonly<Record<string, Phase>> = {
  application: applicationPhase,
  roll: rollPhase,
  compaction: compactionPhase,
  recovery: recoveryPhase,
  'full-disk': fullDiskPhase,
  'no-space': noSpacePhase,
};
