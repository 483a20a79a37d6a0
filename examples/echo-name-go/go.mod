module example.com/echo-name

go 1.22
