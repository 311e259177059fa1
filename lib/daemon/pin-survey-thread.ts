// pin-survey-thread.ts — takes one survey of what is pinned and ends; see pins.ts.

import { parentPort, workerData } from 'node:worker_threads';
import { surveyPins } from '../volume/pin-survey.js';
import type { PinSurveyData } from './pins.js';

const { stateDirectory, pins } = workerData as PinSurveyData;
parentPort!.postMessage(surveyPins(stateDirectory, pins), []);
