import { layersAreHeld } from './layering.suite.js';
import { packagesAreWhole } from './packages.suite.js';

// One after the other: while the layers are shown, files come and go in the packages that are packed.
layersAreHeld();
packagesAreWhole();
