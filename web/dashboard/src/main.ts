import { mount } from 'svelte';
import App from './App.svelte';
import { live } from './app/live.svelte';
import { prefs } from './app/prefs.svelte';
import './styles/tokens.css';
import './styles/base.css';

prefs.apply();
live.start();

const target = document.getElementById('app');
if (target) mount(App, { target });
