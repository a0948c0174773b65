// Sends the answer to the service at once; the page's button does without this file.
document.getElementById('form-post').submit();
