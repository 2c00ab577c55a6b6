<?php
// What Composer makes of an autoloader, less everything that is not needed
// here.

spl_autoload_register(function ($class) {
    if (strncmp($class, 'Acme\\App\\', 9) === 0) {
        require __DIR__ . '/../src/' . strtr(substr($class, 9), '\\', '/') . '.php';
    }
});
