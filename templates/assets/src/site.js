// Extras: every page works without this file. Elements ask for theirs with data-enhance.

// The summary of what is wrong takes the focus, so that it is read first.
const focus = (element) => element.focus();

// A PIN can be looked at while it is typed.
const reveal = (input) => {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'btn btn-link idp-reveal';
  button.setAttribute('aria-controls', input.id);
  const set = (shown) => {
    input.type = shown ? 'text' : 'password';
    button.textContent = shown ? input.dataset.hide : input.dataset.show;
  };
  button.addEventListener('click', () => set(input.type === 'password'));
  // Whatever the eyes saw, the browser's form memory must not.
  input.form.addEventListener('submit', () => set(false));
  set(false);
  input.after(button);
};

// Minutes left. Counted from when the page was made: the clock of this machine may be wrong, and the time to wait
// for stands in the title anyway.
const countdown = (line) => {
  const end = performance.now() + Number(line.dataset.left) * 1000;
  const show = () => {
    const left = Math.ceil((end - performance.now()) / 60000);
    if (left <= 0) {
      line.textContent = line.dataset.done;
      return;
    }
    line.textContent = left === 1 ? line.dataset.single : line.dataset.many.replace('2', left);
    setTimeout(show, 5000);
  };
  show();
};

// A second press on a button while the answer is on its way would throw the first answer away.
for (const form of document.forms) {
  let sent = false;
  form.addEventListener('submit', (event) => {
    if (sent) event.preventDefault();
    sent = true;
  });
  addEventListener('pageshow', () => (sent = false));
}

// The Back button may bring a page back as it was left, kept by the browser in spite of no-store. Its
// step may be over by now: the server says what it shows, and a new PIN is not shown twice.
addEventListener('pageshow', (event) => {
  if (event.persisted) location.replace(location.pathname + location.search);
});

const extras = { focus, reveal, countdown };
for (const element of document.querySelectorAll('[data-enhance]')) extras[element.dataset.enhance](element);
